//! What must stay where it belongs: `unsafe` in the image, each crate's code in its own folder.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::sources::{FOLDERS, code, files, is_own, root};

#[test]
fn unsafe_code_stands_in_the_image_only() {
    for (file, text) in FOLDERS.into_iter().flat_map(files) {
        if file.starts_with("src/image/") || is_own(&file) {
            continue;
        }
        for (n, line) in code(&text) {
            let is_word =
                |word: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word);
            assert!(!is_word("unsafe"), "{file}:{n}: {line}");
        }
    }
}

/// Those of the standard library panic where what they print cannot be written.
#[test]
fn programs_print_by_the_crate_output() {
    for (file, text) in files("examples").into_iter().filter(|(file, _)| !file.contains("/tests/")) {
        for (n, line) in code(&text) {
            assert!(!line.contains("print!(") && !line.contains("println!("), "{file}:{n}: {line}");
        }
    }
}

/// The folder of the package that a file is part of.
fn package(file: &Path) -> &Path {
    let mut folders = file.ancestors().skip(1);
    folders.find(|folder| root().join(folder).join("Cargo.toml").exists()).expect("the top is a package")
}

/// The files that a file takes in by `#[path]`, by their path from the top.
fn taken_by_path(file: &Path, text: &str) -> Vec<PathBuf> {
    let attributes = code(text).filter_map(|(_, line)| line.trim_start().strip_prefix("#[path"));
    attributes
        .map(|rest| {
            let path = rest.split('"').nth(1).expect("the attribute names a file");
            let mut place = file.parent().expect("a file is in a folder").to_path_buf();
            for part in Path::new(path).components() {
                match part {
                    Component::ParentDir => drop(place.pop()),
                    part => place.push(part),
                }
            }
            place
        })
        .collect()
}

#[test]
fn no_crate_takes_code_from_another_ones_folder() {
    let mut between = BTreeSet::new();
    for (file, text) in files("").into_iter().filter(|(file, _)| !is_own(file)) {
        let file = Path::new(&file);
        let others = taken_by_path(file, &text).into_iter().filter(|other| package(other) != package(file));
        between.extend(others.map(|other| format!("{} takes {}", file.display(), other.display())));
    }
    assert_eq!(between, BTreeSet::new(), "what two crates need is a crate of its own");
}

#[test]
fn code_of_another_package_is_seen() {
    let text = "#[path = \"../../tests/support/end.rs\"]\nmod end;\n#[path = \"other.rs\"]\nmod other;\n";
    let file = Path::new("examples/load/main.rs");
    let taken = taken_by_path(file, text);
    assert_eq!(taken, ["tests/support/end.rs", "examples/load/other.rs"].map(PathBuf::from));
    assert_eq!(package(file), Path::new("examples/load"));
    assert_eq!(
        taken.iter().map(|file| package(file) == package(Path::new("src/lib.rs"))).collect::<Vec<_>>(),
        [false; 2]
    );
    assert_eq!(package(Path::new("src/image/mod.rs")), Path::new(""));
}
