//! Reads a file of training rows into [`Example`]s.
//!
//! The extension chooses the file format (one a file below); the keys of each row choose its shape (`shape.rs`), so
//! files made for ms-swift, LLaMA-Factory and ShareGPT tools are read as they are. A row that cannot be trained on
//! is an error that names the file, the row or line and the key: a row dropped in silence would change the dose.
//!
//! Not covered: compressed files, parquet, tool calls, images.

mod columns;
mod csv;
mod fields;
mod json;
mod jsonl;
mod shape;

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use super::example::{Example, Origin, Role};
use super::language::Language;
use crate::files;
use fields::Fields;

/// Reads every row of `path`, in file order. `label` is the source's name in the mixture, kept as each row's origin.
pub fn read_examples(path: &Path, label: &str) -> Result<Vec<Example>> {
    Format::of(path)?;
    let bytes = files::read(path, files::ROWS)?;
    parse_examples(&bytes, path, label)
}

/// Reads the rows of a file whose bytes are at hand; `path` tells the format and is named in errors.
pub fn parse_examples(bytes: &[u8], path: &Path, label: &str) -> Result<Vec<Example>> {
    let format = Format::of(path)?;
    parse(bytes, format, label).with_context(|| format!("bad training data in {}", path.display()))
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Jsonl,
    Csv,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            _ => bail!("cannot tell the format of {}: expected a file ending in .json, .jsonl or .csv", path.display()),
        }
    }
}

/// One row of a file before its shape is known, with the words an error uses to point at it.
struct Row {
    place: String,
    fields: Map<String, Value>,
}

fn parse(bytes: &[u8], format: Format, label: &str) -> Result<Vec<Example>> {
    let text = utf8(bytes)?;
    let rows = match format {
        Format::Json => json::rows(text)?,
        Format::Jsonl => jsonl::rows(text)?,
        Format::Csv => csv::rows(text)?,
    };
    ensure!(!rows.is_empty(), "the file holds no rows");
    let examples = rows
        .into_iter()
        .enumerate()
        .map(|(row, Row { place, fields })| example(&Fields(fields), Origin { source: label.to_owned(), row }).context(place));
    examples.collect()
}

/// The bytes as text, without the byte order mark that spreadsheet programs put first.
fn utf8(bytes: &[u8]) -> Result<&str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|&byte| byte == b'\n').count();
        anyhow!("line {line}: not valid UTF-8; save the file as UTF-8")
    })
}

fn example(fields: &Fields, origin: Origin) -> Result<Example> {
    let messages = shape::messages(fields)?;
    let tagged = fields.tag().and_then(Language::from_tag);
    let first_user = messages.iter().find(|message| message.role == Role::User);
    let language = tagged.unwrap_or_else(|| Language::detect(first_user.map_or("", |message| &message.content)));
    Ok(Example { messages, language, origin })
}

/// The JSON type of a value, in the words of an error.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn error_of(text: &str, format: Format) -> String {
        format!("{:#}", parse(text.as_bytes(), format, "x").expect_err("the rows are bad"))
    }

    #[test]
    fn the_three_formats_give_the_same_rows() -> Result<()> {
        let expected = parse(r#"[{"query": "a", "response": "b"}, {"query": "你", "response": "d"}]"#.as_bytes(), Format::Json, "x")?;
        let jsonl = "{\"query\": \"a\", \"response\": \"b\"}\n\n{\"query\": \"你\", \"response\": \"d\"}\n";
        let csv = "query,response\na,b\n你,d\n";
        assert_eq!(parse(jsonl.as_bytes(), Format::Jsonl, "x")?, expected);
        assert_eq!(parse(csv.as_bytes(), Format::Csv, "x")?, expected);
        assert_eq!(expected[1].origin.to_string(), "x:1");
        assert_eq!([expected[0].language, expected[1].language], [Language::En, Language::Zh]);
        Ok(())
    }

    #[test]
    fn a_language_column_wins_over_the_text() -> Result<()> {
        let rows = r#"[{"query": "hi", "response": "b", "tag": "zh"}, {"query": "你好", "response": "b", "lang": "en"},
            {"query": "hi", "response": "b", "lang": "python"}]"#;
        let languages: Vec<_> = parse(rows.as_bytes(), Format::Json, "x")?.into_iter().map(|example| example.language).collect();
        assert_eq!(languages, [Language::Zh, Language::En, Language::En]);
        Ok(())
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_key() -> Result<()> {
        let bytes = b"\xEF\xBB\xBFquery,response\na,b\n";
        assert_eq!(parse(bytes, Format::Csv, "x")?[0].prompt_text(), "a");
        Ok(())
    }

    #[test]
    fn bytes_that_are_not_utf8_are_placed() {
        let error = parse(b"query,response\na,b\nc,\xFF\n", Format::Csv, "x").expect_err("the bytes are bad");
        assert_eq!(error.to_string(), "line 3: not valid UTF-8; save the file as UTF-8");
    }

    #[test]
    fn files_without_rows_are_errors() {
        for (text, format) in [("[]", Format::Json), ("", Format::Jsonl), ("\n\n", Format::Jsonl), ("query,response\n", Format::Csv)] {
            assert_eq!(error_of(text, format), "the file holds no rows", "{format:?} {text:?}");
        }
    }

    #[test]
    fn errors_name_the_row() {
        let rows = r#"[{"query": "a", "response": "b"}, {"query": "c", "response": " "}]"#;
        assert_eq!(error_of(rows, Format::Json), "row 1 (the first is row 0): the answer in `response` is empty");
        let lines = "{\"query\": \"a\", \"response\": \"b\"}\n\n{\"query\": \"c\"}\n";
        assert!(error_of(lines, Format::Jsonl).starts_with("line 3: no answer: "));
        assert!(error_of("query,response\n\"a\nb\",c\nd,\n", Format::Csv).starts_with("line 4: "));
    }

    #[test]
    fn read_errors_name_the_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("rows.json");
        fs::write(&path, "[]")?;
        let error = format!("{:#}", read_examples(&path, "x").expect_err("the file is empty"));
        assert_eq!(error, format!("bad training data in {}: the file holds no rows", path.display()));
        let missing = read_examples(&folder.path().join("none.json"), "x").expect_err("there is no such file");
        assert!(missing.to_string().contains("none.json"));
        let other = read_examples(&folder.path().join("rows.parquet"), "x").expect_err("not a format");
        assert!(other.to_string().contains("expected a file ending in .json, .jsonl or .csv"));
        Ok(())
    }

    #[test]
    fn a_written_example_reads_back() -> Result<()> {
        let rows = r#"[{"messages": [{"role": "system", "content": ""}, {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "yo", "loss": true}], "lang": "zh"}]"#;
        let examples = parse(rows.as_bytes(), Format::Json, "x")?;
        let written = serde_json::to_vec(&examples)?;
        assert_eq!(parse(&written, Format::Json, "x")?, examples);
        Ok(())
    }
}
