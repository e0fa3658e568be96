//! Reading an image with binutils.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::NamedTempFile;

use crate::place::Frame;

/// Runs a tool with these bytes as its input: what it prints.
fn run(tool: &str, arguments: &[&str], file: &Path, input: Vec<u8>) -> Result<String, String> {
    let mut child = Command::new(tool)
        .args(arguments)
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("{tool} is missing: apt-get install binutils"),
            _ => format!("{tool} does not start: {error}"),
        })?;
    let mut stdin = child.stdin.take().ok_or("a pipe is missing")?;
    // It answers while it is asked. One that has ended early says why itself.
    let asking = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().map_err(|error| format!("{tool}: {error}"))?;
    drop(asking.join());
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().replace('\n', "; "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// All instructions, with the functions' names as the source has them.
pub fn disassembly(image: &Path) -> Result<String, String> {
    if !image.is_file() {
        return Err(format!("no {}: run scripts/build-image first", image.display()));
    }
    run("objdump", &["-d", "--no-show-raw-insn", "--demangle=auto"], image, Vec::new())
}

/// The frames at each address, the innermost first.
pub fn frames(image: &Path, addresses: impl Iterator<Item = u64>) -> Result<Vec<Vec<Frame>>, String> {
    let sections = run("readelf", &["-SW"], image, Vec::new())?;
    if !sections.contains(".debug_line") {
        return Err(format!("{} has no line tables: see [profile.image] in Cargo.toml", image.display()));
    }
    // addr2line prefers a symbol's name to that of the function inlined there.
    let lines = NamedTempFile::new().map_err(|error| format!("the temporary folder: {error}"))?;
    let image = image.to_str().ok_or("the file has a strange name")?;
    run("objcopy", &["--strip-all", "--keep-section=.debug_*", image], lines.path(), Vec::new())?;
    let addresses: String = addresses.map(|address| format!("{address:x}\n")).collect();
    Ok(crate::place::parse(&run(
        "addr2line",
        &["-a", "-f", "-i", "-C", "-e"],
        lines.path(),
        addresses.into_bytes(),
    )?))
}
