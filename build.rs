//! Tells the program which commit it was built from, where git knows.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/index");
    println!("cargo:rerun-if-changed=src");
    let described = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    if let Ok(output) = described
        && output.status.success()
    {
        println!("cargo:rustc-env=BALLAST_COMMIT={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
