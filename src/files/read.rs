//! Files that somebody else names are opened here and nowhere else: regular ones only, since a pipe waits for a writer
//! and a device never ends, and no more of them than a file of their kind can hold.

use std::fs::{self, File, FileType, Metadata};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};

/// Most bytes of a file that is read as text: experiments, suites, configurations, tokenizers, baselines.
pub const TEXT: u64 = 256 << 20;
/// Most bytes of a file of rows: training data, answers, logs of other harnesses.
pub const ROWS: u64 = 1 << 30;

/// Opens a regular file for reading.
pub fn open(path: &Path) -> Result<File> {
    let context = || format!("failed to read {}", path.display());
    // Before it is opened: opening a pipe waits for its writer.
    check(path, &fs::metadata(path).with_context(context)?)?;
    let file = File::open(path).with_context(context)?;
    check(path, &file.metadata().with_context(context)?)?;
    Ok(file)
}

fn check(path: &Path, about: &Metadata) -> Result<()> {
    ensure!(!about.is_dir(), "{} is a folder, and a file is needed", path.display());
    ensure!(
        about.is_file(),
        "{} is not a regular file but {}: copy what it holds into a file and give that",
        path.display(),
        kind(about.file_type())
    );
    Ok(())
}

#[cfg(unix)]
fn kind(file: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file.is_fifo() {
        "a pipe"
    } else if file.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
const fn kind(_: FileType) -> &'static str {
    "something else"
}

/// The bytes of a file that holds at most `most`.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let context = || format!("failed to read {}", path.display());
    let size = file.metadata().with_context(context)?.len();
    let fits = |size: u64| {
        ensure!(size <= most, "{} has more than {} MiB, which no file of its kind has: is it the right one?", path.display(), most >> 20);
        Ok(())
    };
    fits(size)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size)?).with_context(context)?;
    // A file can grow while it is read, and those under /proc say that they are empty.
    file.take(most + 1).read_to_end(&mut bytes).with_context(context)?;
    fits(bytes.len() as u64)?;
    Ok(bytes)
}

/// The text of a file.
pub fn read_text(path: &Path) -> Result<String> {
    text(read(path, TEXT)?, path)
}

/// Bytes of a file as text; those that are none are named by their line.
pub fn text(bytes: Vec<u8>, path: &Path) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        anyhow!("{} line {line} is not UTF-8 text", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &Path, most: u64) -> String {
        format!("{:#}", read(path, most).unwrap_err())
    }

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("five"), "12345").unwrap();
        assert_eq!(read(&at("five"), 5).unwrap(), b"12345");
        assert!(error(&at("five"), 4).contains("is it the right one?"));
        File::create(at("holes")).unwrap().set_len(1 << 40).unwrap();
        assert!(error(&at("holes"), ROWS).contains("more than 1024 MiB"));
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (path, word) in
            [(at("pipe"), "a pipe"), (at("socket"), "a socket"), ("/dev/zero".into(), "a device"), (folder.path().into(), "a folder")]
        {
            assert!(error(&path, ROWS).contains(word) && error(&path, ROWS).contains(path.to_str().unwrap()), "{}", error(&path, ROWS));
        }
        assert!(error(&at("none"), 5).contains("failed to read"));
        // Says that it is empty, and is not.
        assert!(error(Path::new("/proc/self/maps"), 10).contains("is it the right one?"));
    }
}
