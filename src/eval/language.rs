//! How a question's language is written on the command line and in tables.

use std::fmt;
use std::str::FromStr;

use super::suite::Lang;

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Zh => "zh",
            Self::En => "en",
        })
    }
}

impl FromStr for Lang {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zh" => Ok(Self::Zh),
            "en" => Ok(Self::En),
            _ => Err("use zh or en".to_owned()),
        }
    }
}
