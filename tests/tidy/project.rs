//! What each package says of itself: one licence, one version, and a word of that version in the list of changes.

use std::fs;

use crate::sources::root;

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The manifests of the workspace's packages, but the top's.
fn manifests() -> Vec<String> {
    let tools = fs::read_dir(root().join("examples")).expect("a folder");
    let tools = tools.filter_map(|tool| Some(tool.ok()?.file_name().to_str()?.to_owned()));
    tools
        .map(|tool| format!("examples/{tool}/Cargo.toml"))
        .chain(["benches/Cargo.toml", "tests/support/Cargo.toml"].map(str::to_owned))
        .collect()
}

#[test]
fn all_packages_have_the_licence_and_the_version() {
    let top = read("Cargo.toml");
    assert!(top.contains("\nlicense = \"MIT OR Apache-2.0\"\n"));
    for manifest in manifests() {
        let text = read(&manifest);
        for line in ["license.workspace = true", "version.workspace = true"] {
            assert!(text.lines().any(|said| said == line), "{manifest} does not say {line}");
        }
    }
    for apart in ["fuzz/Cargo.toml", "tests/clients/rust/Cargo.toml", "tests/clients/talk/rust/Cargo.toml"] {
        assert!(read(apart).contains("\nlicense = \"MIT OR Apache-2.0\"\n"), "{apart} has no licence");
    }
    assert!(read("LICENSE.md").contains("SPDX-License-Identifier: `MIT OR Apache-2.0`"));
}

#[test]
fn the_changes_begin_with_this_version() {
    let version = concat!("## ", env!("CARGO_PKG_VERSION"));
    let changes = read("CHANGELOG.md");
    let first = changes.lines().find(|line| line.starts_with("## ")).expect("a version");
    assert!(first == version || first.starts_with(&format!("{version},")), "{first}");
}
