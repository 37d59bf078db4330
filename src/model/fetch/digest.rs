//! Digests of large files, and the stamp that spares computing them again.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Progress;
use crate::files;

/// The sha256 of a file in lower-case hex, read as a stream.
pub fn sha256_file(path: &Path, progress: &dyn Progress) -> Result<String> {
    let digest = || -> Result<String> {
        let mut file = files::open(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        progress.begin(&format!("checking {name}"), Some(file.metadata()?.len()));
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            progress.advance(read as u64);
        }
        progress.finish();
        Ok(files::hex(&hasher.finalize()))
    };
    digest().with_context(|| format!("failed to read {}", path.display()))
}

/// What a file was when its digest was computed. Kept beside it as `<file>.sha256`; a file of another size or time of
/// change is read again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    sha256: String,
    bytes: u64,
    modified_ns: u64,
}

impl Stamp {
    fn of(path: &Path, sha256: &str) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { sha256: sha256.to_owned(), bytes: metadata.len(), modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX) })
    }
}

/// Whether the file is stamped as having this digest and has not changed since.
pub(super) fn is_stamped(path: &Path, sha256: &str) -> bool {
    let stored = fs::read(stamp_path(path)).ok();
    let stored = stored.and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
    let current = Stamp::of(path, sha256).ok();
    current.is_some() && stored == current
}

/// Remembers the digest of a file that was just read.
pub(super) fn stamp(path: &Path, sha256: &str) -> Result<()> {
    let stamp = Stamp::of(path, sha256).with_context(|| format!("failed to read {}", path.display()))?;
    files::write_atomic(&stamp_path(path), &serde_json::to_vec(&stamp)?)
}

/// Whether the file has this digest; read only if it is not stamped.
pub(super) fn matches(path: &Path, sha256: &str, progress: &dyn Progress) -> Result<bool> {
    if is_stamped(path, sha256) {
        return Ok(true);
    }
    let same = sha256_file(path, progress)? == sha256;
    if same {
        stamp(path, sha256)?;
    }
    Ok(same)
}

fn stamp_path(path: &Path) -> PathBuf {
    path.with_added_extension("sha256")
}

#[cfg(test)]
mod tests {
    use super::super::Silent;
    use super::*;

    // printf 'ballast' | sha256sum
    const BALLAST: &str = "45ec175171d9c8478fdd14b3f211b3409d647ef3ac51e2d0d8b6f6abe119b891";

    #[test]
    fn digest_and_stamp() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("weights.gguf");
        fs::write(&file, "ballast").expect("written");
        let digest = sha256_file(&file, &Silent).expect("read");
        assert_eq!(digest, BALLAST);

        assert!(!is_stamped(&file, &digest));
        stamp(&file, &digest).expect("written");
        assert!(is_stamped(&file, &digest));
        assert!(!is_stamped(&file, "another digest"));

        fs::write(&file, "ballast and more").expect("written");
        assert!(!is_stamped(&file, &digest));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = sha256_file(Path::new("no/such.gguf"), &Silent).expect_err("is missing");
        assert!(format!("{error:#}").contains("no/such.gguf"), "{error:#}");
    }
}
