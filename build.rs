//! Tells the program which commit it was built from, where git knows; with the feature `cuda`, compiles the kernels.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=src");
    commit();
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        kernels();
    }
}

/// The commit, with `-dirty` where tracked files differed from it.
///
/// This script runs again, and so the crate is compiled again, when a commit, checkout or reset moves HEAD and when a file
/// in `src` changes; not when git only refreshes its index, which `git status` does, and `git describe --dirty` too unless it
/// is told not to. `-dirty` therefore says how the tree was when the program was compiled. An edit outside `src` that
/// compiles nothing leaves it as it is.
fn commit() {
    let (Some(own), Some(common)) = (git(&["rev-parse", "--git-dir"]), git(&["rev-parse", "--git-common-dir"])) else { return };
    let (own, common) = (PathBuf::from(own), PathBuf::from(common));
    let mut watched = vec![own.join("HEAD"), own.join("logs/HEAD")];
    if let Some(branch) = git(&["symbolic-ref", "--quiet", "HEAD"]) {
        let loose = common.join(branch);
        watched.push(if loose.exists() { loose } else { common.join("packed-refs") });
    }
    // A path that does not exist would count as changed each time.
    for path in watched.iter().filter(|path| path.exists()) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    if let Some(described) = git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]) {
        println!("cargo:rustc-env=BALLAST_COMMIT={described}");
    }
}

/// One line of git's; None where git does not know, as outside a repository. In a worktree `.git` is a file, so git is asked
/// where its folders are.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("--no-optional-locks").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Compiles every `.cu` file for the compute capability of `CUDA_COMPUTE_CAP`, else of the first GPU found, like candle's
/// own kernels; to machine code, because the driver would take many seconds over the PTX of the attention kernels.
fn kernels() {
    println!("cargo:rerun-if-env-changed=CUDA_COMPUTE_CAP");
    println!("cargo:rerun-if-env-changed=CUDA_PATH");
    let folder = Path::new("src/model/ops/cuda");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let capability = std::env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| first_gpu());
    let nvcc = std::env::var("CUDA_PATH").map_or_else(|_| PathBuf::from("nvcc"), |path| Path::new(&path).join("bin/nvcc"));
    let files = std::fs::read_dir(folder).expect("the folder of kernels is readable");
    let files: Vec<PathBuf> = files.map(|entry| entry.expect("the folder of kernels is readable").path()).collect();
    let newest_header = files.iter().filter(|file| file.extension().is_some_and(|e| e == "cuh")).filter_map(|file| modified(file)).max();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "cu")) {
        let compiled = out.join(file.file_stem().expect("a file has a name")).with_extension("cubin");
        let stamp = compiled.with_extension("arch");
        // nvcc takes seconds a file, and this script runs at every change of the sources.
        let fresh = modified(&compiled).is_some_and(|made| modified(file) < Some(made) && newest_header < Some(made))
            && std::fs::read_to_string(&stamp).is_ok_and(|text| text == capability);
        if fresh {
            continue;
        }
        let status = Command::new(&nvcc)
            .args(["-cubin", "-O3", "-std=c++17", &format!("-arch=sm_{capability}"), "-o"])
            .arg(&compiled)
            .arg(file)
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("nvcc could not compile {}: {status}", file.display()),
            Err(error) => panic!("{} cannot be run ({error}): the feature `cuda` needs the CUDA toolkit", nvcc.display()),
        }
        std::fs::write(&stamp, &capability).expect("OUT_DIR is writable");
    }
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Compute capability of the first GPU, as `90`.
fn first_gpu() -> String {
    let output = Command::new("nvidia-smi").args(["--query-gpu=compute_cap", "--format=csv,noheader"]).output();
    let text = output.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    match text.as_deref().and_then(|text| text.lines().next()) {
        Some(line) => line.trim().replace('.', ""),
        None => panic!("no GPU answers nvidia-smi: set CUDA_COMPUTE_CAP, 90 for an H100, 89 for an RTX 4090, 86 for an RTX 3090"),
    }
}
