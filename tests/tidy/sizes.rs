//! Files and functions that can be read at once.

use std::collections::BTreeSet;

use crate::sources::{FOLDERS, code, files};

/// Lines of a file without its tests; of a file of tests, all.
const FILE_MAX: usize = 500;

/// Lines of code of one function.
const FUNCTION_MAX: usize = 70;

#[test]
fn files_have_a_size_that_can_be_read_at_once() {
    for (file, text) in FOLDERS.into_iter().flat_map(files) {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= FILE_MAX, "{file} has {lines} lines, more than {FILE_MAX}");
    }
}

/// The functions of a file: name, and lines of code from the head to the closing brace.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut open: Vec<(usize, String, usize)> = Vec::new();
    let mut found = Vec::new();
    for (_, line) in code(text).filter(|(_, line)| !line.trim().is_empty()) {
        let start = line.trim_start();
        let depth = line.len() - start.len();
        let head = start.find("fn ").filter(|at| {
            let words = start[..*at].split_whitespace();
            words.clone().all(|word| {
                word.starts_with("pub") || matches!(word, "const" | "unsafe" | "extern" | "\"C\"")
            })
        });
        for function in &mut open {
            function.2 += 1;
        }
        if let Some(at) = head.filter(|_| !line.ends_with(';')) {
            let name = start[at + 3..].split(['(', '<']).next().unwrap_or_default();
            open.push((depth, name.to_string(), 1));
        }
        if line.trim_end().ends_with('}')
            && let Some((at, ..)) = open.last()
            && *at == depth
            && let Some((_, name, lines)) = open.pop()
        {
            found.push((name, lines));
        }
    }
    found
}

#[test]
fn functions_fit_a_screen() {
    let mut long = BTreeSet::new();
    for (file, text) in files("src") {
        let over = functions(&text).into_iter().filter(|(_, lines)| *lines > FUNCTION_MAX);
        long.extend(over.map(|(name, lines)| format!("{file}: {name}: {lines}")));
    }
    assert_eq!(long, BTreeSet::new(), "functions of more than {FUNCTION_MAX} lines of code");
}

#[test]
fn lines_of_functions_are_counted() {
    let text = "fn one() {\n    // Not code.\n    let a = 1;\n\n}\n\nimpl A {\n    pub const fn two(\n        a: u32,\n    ) {\n        let f = || {\n        };\n    }\n    fn three() {}\n}\n";
    let counted = functions(text);
    assert_eq!(counted, [("one".into(), 3), ("two".into(), 6), ("three".into(), 1)]);
}
