//! The sources: which files there are, and their code without tests and comments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::comments::Comments;

/// Where Rust is.
pub const FOLDERS: [&str; 5] = ["src", "tests", "benches", "examples", "fuzz"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a file is part of these tests, which name what they forbid.
pub fn is_own(file: &str) -> bool {
    file.starts_with("tests/tidy/")
}

/// The Rust files under a folder, by their path from the top.
pub fn files(folder: &str) -> BTreeMap<String, String> {
    let mut found = sources(folder);
    found.retain(|file, _| file.ends_with(".rs"));
    found
}

/// All that has comments under a folder, by its path from the top. What Cargo, the fuzzers or Git have put there is
/// no source.
pub fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path: PathBuf = entry.expect("it can be read").path();
            let name = path.strip_prefix(root()).expect("it is below the top").to_string_lossy().into_owned();
            if path.is_dir() {
                let is_foreign =
                    ["target", "corpus", "artifacts", ".git"].iter().any(|other| path.ends_with(other));
                folders.extend((!is_foreign).then_some(path));
            } else if let Ok(text) = std::fs::read_to_string(&path)
                && Comments::of(&name, &text).is_some()
            {
                found.insert(name, text);
            }
        }
    }
    found
}

/// A file without its tests and comments: lines of code, each with its number.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(n, line)| {
        let end = line.find(" // ").unwrap_or(line.len());
        (n + 1, &line[..end])
    })
}
