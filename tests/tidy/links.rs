//! What the pages refer to is there: other pages, their sections, files of this tree. And each page has its place in the order
//! to read, `docs/SUMMARY.md`, which the site of `scripts/docs` follows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::sources::{root, sources};

/// Where a path in a page begins that is one of this tree.
const TOP: [&str; 10] =
    ["docs/", "scripts/", "tests/", "examples/", "src/", "benches/", "fuzz/", "boot/", ".cargo/", ".ci/"];

/// The pages, by their path from the top.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).expect("a folder");
    let docs = docs.filter_map(|page| Some(format!("docs/{}", page.ok()?.file_name().to_str()?)));
    let top = ["README.md", "CHANGELOG.md", "LICENSE.md", "SECURITY.md"].map(str::to_owned);
    docs.filter(|page| page.ends_with(".md")).chain(top).collect()
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The lines of a page's text, each with its number: not those of its fenced blocks.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            lines.push((n + 1, line));
        }
    }
    lines
}

/// What a heading is called in an address: as GitHub and mdBook name it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The headings of a page, without their marks.
fn headings(text: &str) -> Vec<String> {
    let heads = prose(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    heads.map(|(_, line)| line.trim_start_matches('#').trim().replace('`', "")).collect()
}

/// The targets of the links of a line, without those that lead out of the tree.
fn targets(line: &str) -> Vec<&str> {
    let ends = line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    ends.filter(|target| !target.contains("://")).collect()
}

/// What is wrong with a link of a page.
fn broken(page: &str, target: &str) -> Option<String> {
    let (file, section) = target.split_once('#').map_or((target, None), |(file, at)| (file, Some(at)));
    let folder = Path::new(page).parent().expect("a file is in a folder");
    let there =
        if file.is_empty() { page.to_owned() } else { folder.join(file).to_string_lossy().into_owned() };
    if !root().join(&there).exists() {
        return Some(format!("no {there}"));
    }
    let section = section?;
    let known = headings(&read(&there)).iter().any(|heading| anchor(heading) == section);
    (!known).then(|| format!("{there} has no section #{section}"))
}

/// The words in a line's marks of code.
fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Whether a path that a page names is there. A star stands for any name, and words in capitals for what a reader puts there.
fn is_there(path: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_uppercase());
    let is_fixed =
        |part: &str| !part.contains(['*', '{', '…']) && !part.split('.').next().is_some_and(is_name);
    let fixed: Vec<&str> = path.trim_end_matches('/').split('/').take_while(|part| is_fixed(part)).collect();
    root().join(fixed.join("/")).exists()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = BTreeSet::new();
    for page in pages() {
        for (n, line) in prose(&read(&page)) {
            let bad = targets(line).into_iter().filter_map(|target| broken(&page, target));
            wrong.extend(bad.map(|why| format!("{page}:{n}: {why}")));
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

#[test]
fn the_files_that_pages_name_are_there() {
    let mut wrong = BTreeSet::new();
    for page in pages() {
        for (n, line) in prose(&read(&page)) {
            let words = code_spans(line).into_iter().filter_map(|span| span.split_whitespace().next());
            let paths = words.map(|word| word.trim_start_matches("./"));
            let missing = paths.filter(|path| TOP.iter().any(|top| path.starts_with(top)) && !is_there(path));
            wrong.extend(missing.map(|path| format!("{page}:{n}: no {path}")));
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

/// A section is named by its heading in quotes, behind the page: `docs/install.md`, "Going back".
#[test]
fn the_sections_that_pages_name_are_there() {
    let mut wrong = BTreeSet::new();
    for page in pages() {
        for (n, line) in prose(&read(&page)) {
            for part in line.split("`docs/").skip(1) {
                let Some((name, section)) = part.split_once("`, \"") else { continue };
                let Some((section, _)) = section.split_once('"') else { continue };
                if !headings(&read(&format!("docs/{name}"))).iter().any(|heading| heading == section) {
                    wrong.insert(format!("{page}:{n}: docs/{name} has no section \"{section}\""));
                }
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

#[test]
fn each_page_has_its_place_in_the_order_to_read() {
    let order = read("docs/SUMMARY.md");
    let mut placed: Vec<&str> =
        order.lines().flat_map(targets).filter(|page| !page.starts_with("..")).collect();
    placed.sort_unstable();
    let mut there: Vec<String> =
        pages().into_iter().filter_map(|page| Some(page.strip_prefix("docs/")?.to_owned())).collect();
    there.retain(|page| page != "SUMMARY.md");
    there.sort_unstable();
    assert_eq!(placed, there);
}

/// What a developer runs by hand is told in a row; jobs in dom0 and parts of scripts are told elsewhere.
#[test]
fn each_script_has_its_row() {
    let text = read("docs/hacking.md");
    let told: BTreeSet<&str> = prose(&text)
        .into_iter()
        .filter(|(_, line)| line.starts_with('|'))
        .flat_map(|(_, line)| code_spans(line))
        .filter_map(|span| span.split_whitespace().next())
        .collect();
    let files = ["scripts", "tests"].map(sources).into_iter().flatten();
    let scripts = files.filter(|(path, text)| {
        text.starts_with("#!") && !path.contains(".d/") && !path.starts_with("tests/nested/")
    });
    let missing: Vec<String> =
        scripts.map(|(path, _)| path).filter(|path| !told.contains(path.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn broken_references_are_found() {
    assert_eq!(broken("docs/install.md", "runbooks.md#it-is-full"), None);
    assert_eq!(broken("docs/install.md", "#distributions"), None);
    assert_eq!(broken("docs/install.md", "none.md"), Some("no docs/none.md".into()));
    let no_section = Some("docs/runbooks.md has no section #it-is-empty".into());
    assert_eq!(broken("docs/install.md", "runbooks.md#it-is-empty"), no_section);
    assert_eq!(anchor("What a guest may hold, `xl` and all"), "what-a-guest-may-hold-xl-and-all");
    assert!(is_there("tests/nested/JOB.sh") && is_there("docs/*.md") && !is_there("docs/none/*.md"));
    assert_eq!(targets("[a](b.md) and ![c](d.svg), not [e](https://e.example)"), ["b.md", "d.svg"]);
    assert_eq!(prose("a\n```text\n[b](c)\n```\nd"), [(1, "a"), (5, "d")]);
}
