//! The archive: tar, compressed with gzip, the manifest first and the files in the manifest's order. Times, owners and
//! compression are fixed, so that the same contents are the same bytes.
//!
//! Nothing in an archive is believed: it holds the regular files that its manifest lists, in that order, each with the length
//! and the digest that the manifest says, and nothing else. What does not is refused before or while it is read, and nothing
//! stays on the disk.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::manifest::{MANIFEST, Manifest, check_path};
use crate::files::{self, Staged, hex, write_large};

/// Bytes of the longest manifest.
const LONGEST_MANIFEST: u64 = 1 << 20;
/// Bytes of all files together.
const LARGEST: u64 = 64 << 30;

/// Writes a pack. `contents` are the files by path; those in `executable` may be run.
pub fn write(path: &Path, manifest: &Manifest, contents: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let staged = Staged::file(path)?;
    let mut manifest_text = serde_json::to_vec_pretty(manifest)?;
    manifest_text.push(b'\n');
    staged.write_file(|path| {
        write_large(path, |out| {
            let mut archive = Builder::new(GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::default()));
            append(&mut archive, MANIFEST, &manifest_text)?;
            for member in &manifest.files {
                append(&mut archive, &member.path, contents.get(&member.path).context("a file of the manifest is not there")?)?;
            }
            archive.into_inner()?.finish()?.flush()?;
            Ok(())
        })
    })?;
    staged.commit()
}

fn append(archive: &mut Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(mode(path));
    header.set_mtime(0);
    Ok(archive.append_data(&mut header, path, bytes)?)
}

/// Scripts may be run.
fn mode(path: &str) -> u32 {
    if is_script(path) { 0o755 } else { 0o644 }
}

fn is_script(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "sh")
}

/// Unpacks an archive into a new folder; `accept` may refuse it by its manifest before anything else is read.
pub fn unpack(path: &Path, target: &Path, accept: impl FnOnce(&Manifest) -> Result<()>) -> Result<Manifest> {
    let context = || format!("{} cannot be unpacked", path.display());
    let staged = Staged::folder(target)?;
    let manifest = read(path, &staged, accept).with_context(context)?;
    staged.commit()?;
    Ok(manifest)
}

fn read(path: &Path, staged: &Staged, accept: impl FnOnce(&Manifest) -> Result<()>) -> Result<Manifest> {
    let cut = "it is cut short, or no pack";
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(files::open(path)?)));
    let mut entries = archive.entries().context(cut)?;
    let mut text = Vec::new();
    {
        let mut first = entries.next().context(cut)?.context(cut)?;
        ensure!(name(&first)? == MANIFEST, "it does not begin with {MANIFEST}, so it is no pack");
        regular(&first)?;
        ensure!(first.size() <= LONGEST_MANIFEST, "its manifest has {} bytes", first.size());
        first.read_to_end(&mut text).context(cut)?;
    }
    let manifest: Manifest = serde_json::from_slice(&text).with_context(|| format!("its {MANIFEST} is not what Ballast writes there"))?;
    let manifest = manifest.checked()?;
    let all = manifest.files.iter().try_fold(0_u64, |all, member| all.checked_add(member.bytes));
    ensure!(all.is_some_and(|all| all <= LARGEST), "its files are said to have more than {} GiB", LARGEST >> 30);
    accept(&manifest)?;
    staged.bytes(MANIFEST, &text)?;
    let mut listed = manifest.files.iter();
    for entry in entries {
        let mut entry = entry.context(cut)?;
        let path = name(&entry)?;
        regular(&entry)?;
        let member = listed.next().with_context(|| format!("it holds `{}`, which its manifest does not list", path.escape_debug()))?;
        ensure!(path == member.path, "it holds `{}` where its manifest lists `{}`", path.escape_debug(), member.path);
        ensure!(entry.size() == member.bytes, "`{path}` has {} bytes, its manifest says {}", entry.size(), member.bytes);
        let target = staged.path().join(&member.path);
        if let Some(parent) = target.parent() {
            files::create_folder(parent)?;
        }
        let mut hash = Sha256::new();
        let mut read = 0;
        write_large(&target, |out| {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = entry.read(&mut buffer).context(cut)?;
                if count == 0 {
                    return Ok(());
                }
                read += count as u64;
                hash.update(&buffer[..count]);
                out.write_all(&buffer[..count])?;
            }
        })?;
        ensure!(read == member.bytes, "{cut}: `{path}` ends after {read} of {} bytes", member.bytes);
        ensure!(hex(&hash.finalize()) == member.sha256, "`{path}` is not what its manifest says: its sha256 differs");
        executable(&target, is_script(&path))?;
    }
    if let Some(member) = listed.next() {
        bail!("{cut}: `{}` is missing", member.path);
    }
    nothing_more(archive.into_inner()).context(cut)?;
    Ok(manifest)
}

/// Whether the archive ends as one does: with zeros, the checksum of the compression, and nothing behind it.
fn nothing_more(mut rest: GzDecoder<BufReader<std::fs::File>>) -> Result<()> {
    let mut tail = Vec::new();
    rest.by_ref().take(LONGEST_MANIFEST).read_to_end(&mut tail)?;
    let behind = rest.into_inner().bytes().next().is_some();
    ensure!(tail.iter().all(|byte| *byte == 0) && (tail.len() as u64) < LONGEST_MANIFEST && !behind, "it holds more behind its end");
    Ok(())
}

/// The path of an entry as it stands there: `..`, a leading `/` and the like are refused, not cleaned.
fn name(entry: &tar::Entry<'_, impl Read>) -> Result<String> {
    let bytes = entry.path_bytes();
    let path = std::str::from_utf8(&bytes).context("it names a file in bytes that are no text")?;
    check_path(path)?;
    Ok(path.to_owned())
}

fn regular(entry: &tar::Entry<'_, impl Read>) -> Result<()> {
    let kind = entry.header().entry_type();
    ensure!(kind == EntryType::Regular, "it holds something other than a file (a link, a folder or a device: {kind:?})");
    Ok(())
}

#[cfg(unix)]
fn executable(path: &Path, script: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if script {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("failed to make {} executable", path.display()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn executable(_: &Path, _: bool) -> Result<()> {
    Ok(())
}
