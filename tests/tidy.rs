//! The order of the house, which no compiler holds: layers, circles, the size of files and functions, where `unsafe` may
//! stand, code that is taken from another crate's folder, comments that tell of the past.
//!
//! It reads the sources as rustfmt leaves them. No rule has an exception.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Lines of a file under `src/`, without its tests.
const FILE_MAX: usize = 500;

/// Lines of code of one function.
const FUNCTION_MAX: usize = 70;

/// Words by which a comment tells what the code was, and marks for what is still to be done.
const PAST: [&str; 11] = [
    "used to be",
    "previously",
    "formerly",
    "was renamed",
    "was moved",
    "refactored",
    "in an earlier version",
    "backwards compat",
    "TODO",
    "FIXME",
    "XXX",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files under a folder, by their path from the top.
fn files(folder: &str) -> BTreeMap<String, String> {
    let mut found = sources(folder);
    found.retain(|file, _| file.ends_with(".rs"));
    found
}

/// All that has comments under a folder, by its path from the top. What Cargo, the fuzzers or Git have put there is
/// no source.
fn sources(folder: &str) -> BTreeMap<String, String> {
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

/// How a language has its comments.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Comments {
    /// From `//` on.
    Slashes,
    /// From `#` on.
    Hash,
    /// Over many lines. Such files are read as a whole, since what they have besides looks like no comment.
    Block,
}

impl Comments {
    fn of(file: &str, text: &str) -> Option<Comments> {
        match Path::new(file).extension().and_then(|extension| extension.to_str()) {
            Some("rs") => Some(Comments::Slashes),
            Some("sh" | "py" | "toml" | "s" | "cfg" | "te" | "service" | "conf") => Some(Comments::Hash),
            Some("c" | "h" | "ld") => Some(Comments::Block),
            _ => text.starts_with("#!").then_some(Comments::Hash),
        }
    }

    /// The comments of a file: each line's, with its number.
    fn read(self, text: &str) -> impl Iterator<Item = (usize, &str)> {
        text.lines().enumerate().filter_map(move |(n, line)| {
            let at = match self {
                Comments::Slashes => line.find("//"),
                Comments::Hash => start_of_hash(line),
                Comments::Block => Some(0),
            };
            Some((n + 1, &line[at?..]))
        })
    }
}

/// Where a comment begins that stands alone or behind a blank. `$#` and `${name#prefix}` begin none.
fn start_of_hash(line: &str) -> Option<usize> {
    line.match_indices('#')
        .map(|(at, _)| at)
        .find(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace))
}

/// A file without its tests and comments: lines of code, each with its number.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(n, line)| {
        let end = line.find(" // ").unwrap_or(line.len());
        (n + 1, &line[..end])
    })
}

/// Where a file's module stands: the crate's root file, and the names from there.
fn module(file: &str) -> (&'static str, Vec<String>) {
    let (root, below) = match file {
        _ if file.starts_with("src/guest/") => ("src/guest/main.rs", file.strip_prefix("src/guest/")),
        _ if file.starts_with("src/image/stubdom/") => ("src/main.rs", file.strip_prefix("src/image/")),
        _ if file.starts_with("src/image/") || file == "src/main.rs" => {
            ("src/main.rs", file.strip_prefix("src/"))
        }
        _ => ("src/lib.rs", file.strip_prefix("src/")),
    };
    let below = below.unwrap_or_default().trim_end_matches(".rs");
    let mut names: Vec<String> = below.split('/').map(String::from).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    (root, names)
}

/// Whether this is a program's root: it wires the parts, and they reach what it wires by its name.
fn is_root(file: &str) -> bool {
    file.ends_with("/main.rs")
}

/// All that a `use` names, braces resolved: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str, before: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        found.push(format!("{before}{path}"));
        return;
    };
    let before = format!("{before}{}", &tree[..open]);
    let inner = tree[open + 1..].strip_suffix('}').unwrap_or_default();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&inner[start..at], &before, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// What a file takes from elsewhere, as written: what it imports, and what it names by a whole path. Of what is only
/// handed on (`pub use`) what the file itself does not use is apart.
struct Names {
    used: Vec<String>,
    handed_on: Vec<String>,
}

fn names(text: &str) -> Names {
    let (mut inline, mut plain) = (false, String::new());
    for (_, line) in code(text) {
        // What a module inside the file calls `super` is the file.
        inline = if inline { line != "}" } else { line.contains("mod ") && line.ends_with('{') };
        plain += &if inline { line.replace("super::", "self::") } else { line.to_string() };
        plain.push('\n');
    }
    let text = plain;
    let mut rest = String::new();
    let (mut used, mut public) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let start = line.trim_start();
        let import = ["pub use ", "pub(crate) use ", "pub(super) use ", "use "];
        let Some(prefix) = import.into_iter().find(|prefix| start.starts_with(prefix)) else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = start[prefix.len()..].to_string();
        while !tree.ends_with(';') {
            tree.push_str(lines.next().expect("the import ends").trim());
        }
        expand(tree.trim_end_matches(';'), "", if prefix == "use " { &mut used } else { &mut public });
    }
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_mod =
        |line: &str| line.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| format!("{name}::"));
    let children: Vec<String> = rest.lines().filter_map(is_mod).collect();
    for prefix in ["crate::", "super::", "xenstore::"].into_iter().chain(children.iter().map(String::as_str))
    {
        for (at, _) in rest.match_indices(prefix) {
            if rest[..at].ends_with(|before| is_part(before) || before == ':') {
                continue;
            }
            let path = &rest[at..];
            let end = path.find(|letter| !is_part(letter) && letter != ':').unwrap_or(path.len());
            used.push(path[..end].trim_end_matches(':').to_string());
        }
    }
    let is_named = |path: &String| {
        let name = path.rsplit("::").next().unwrap_or_default();
        rest.match_indices(name)
            .any(|(at, _)| !rest[..at].ends_with(is_part) && !rest[at + name.len()..].starts_with(is_part))
    };
    let (named, handed_on): (Vec<_>, Vec<_>) = public.into_iter().partition(is_named);
    used.extend(named);
    Names { used, handed_on }
}

/// The sources, and who takes what from whom.
struct House {
    files: BTreeMap<String, String>,
    modules: BTreeMap<(&'static str, Vec<String>), String>,
    /// Where a name that a module hands on comes from.
    handed_on: BTreeMap<(String, String), Vec<String>>,
}

impl House {
    fn new() -> House {
        let files = files("src");
        let modules = files.keys().map(|file| (module(file), file.clone())).collect();
        let mut house = House { files, modules, handed_on: BTreeMap::new() };
        for (file, text) in &house.files {
            let names = names(text);
            for path in names.handed_on.into_iter().chain(names.used) {
                let parts: Vec<String> = path.split("::").map(String::from).collect();
                let name = parts.last().cloned().unwrap_or_default();
                house.handed_on.insert((file.clone(), name), parts);
            }
        }
        house
    }

    /// The file that a path leads to, as seen from a file; none if it is another package's.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        let (mut crate_root, mut at) = module(from);
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            "xenstore" if crate_root != "src/lib.rs" => (crate_root, at) = ("src/lib.rs", Vec::new()),
            name => {
                let mut child = at.clone();
                child.push(name.to_string());
                self.modules.get(&(crate_root, child.clone()))?;
                at = child;
            }
        }
        rest = &rest[1..];
        while let Some((name, after)) = rest.split_first() {
            let mut child = at.clone();
            if name == "super" {
                child.pop();
            } else {
                child.push(name.clone());
                if !self.modules.contains_key(&(crate_root, child.clone())) {
                    break;
                }
            }
            (at, rest) = (child, after);
        }
        let file = self.modules.get(&(crate_root, at))?;
        let handed_on = rest.first().and_then(|name| self.handed_on.get(&(file.clone(), name.clone())));
        match handed_on {
            Some(origin) if depth > 0 && file != from && !is_root(file) => {
                self.resolve(file, origin, depth - 1).or_else(|| Some(file.clone()))
            }
            _ => Some(file.clone()),
        }
    }

    /// The files that each file takes something from.
    fn arrows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let arrow = |file: &String, text: &String| {
            let used = names(text).used;
            let paths = used.iter().map(|path| path.split("::").map(String::from).collect::<Vec<_>>());
            let taken = paths.filter_map(|path| self.resolve(file, &path, 4));
            taken.filter(|other| other != file).collect()
        };
        self.files.iter().map(|(file, text)| (file.clone(), arrow(file, text))).collect()
    }
}

/// All that can be reached from a file.
fn reached<'a>(arrows: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in arrows.get(file).into_iter().flatten() {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}

/// The sets of files of which each can be reached from every other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|file| (file.as_str(), reached(arrows, file))).collect();
    let circle = |file: &str| -> BTreeSet<String> {
        let together = reached[file].iter().filter(|other| reached[**other].contains(file));
        together.map(|other| (*other).to_string()).collect()
    };
    arrows.keys().map(|file| circle(file)).filter(|circle| circle.len() > 1).collect()
}

/// The rooms of the library in the order of their layers, as the table in `src/lib.rs` has them.
fn layers(lib: &str) -> Vec<String> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .flat_map(|cell| cell.split(['[', '`', ']', ',', ' ']).filter(|name| !name.is_empty()))
        .map(String::from)
        .collect()
}

#[test]
fn a_layer_uses_only_those_above_it() {
    let house = House::new();
    let lib = &house.files["src/lib.rs"];
    let layers = layers(lib);
    let rooms: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(rooms, layers.iter().map(String::as_str).collect(), "src/lib.rs: its table and its modules");
    let room = |file: &str| module(file).1.first().cloned();
    let floor = |room: &Option<String>| layers.iter().position(|layer| Some(layer) == room.as_ref());
    let mut upward = BTreeSet::new();
    for (file, others) in house.arrows() {
        for other in others {
            if let (Some(user), Some(used)) = (floor(&room(&file)), floor(&room(&other)))
                && module(&file).0 == "src/lib.rs"
                && used > user
            {
                upward.insert(format!("{file} uses {other}"));
            }
        }
    }
    assert_eq!(upward, BTreeSet::new(), "each uses what stands above it only");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut arrows = House::new().arrows();
    arrows.retain(|file, _| !is_root(file));
    arrows.values_mut().for_each(|others| others.retain(|file| !is_root(file)));
    let found = circles(&arrows);
    assert_eq!(found, BTreeSet::new(), "what is in a circle cannot be read or tested by itself");
}

#[test]
fn files_have_a_size_that_can_be_read_at_once() {
    for (file, text) in files("src") {
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
fn unsafe_code_stands_in_the_image_only() {
    let folders = ["src", "tests", "benches", "examples", "fuzz"];
    for (file, text) in folders.into_iter().flat_map(files) {
        if file.starts_with("src/image/") || file == "tests/tidy.rs" {
            continue;
        }
        for (n, line) in code(&text) {
            let is_word =
                |word: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word);
            assert!(!is_word("unsafe"), "{file}:{n}: {line}");
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
    for (file, text) in files("").into_iter().filter(|(file, _)| file != "tests/tidy.rs") {
        let file = Path::new(&file);
        let others = taken_by_path(file, &text).into_iter().filter(|other| package(other) != package(file));
        between.extend(others.map(|other| format!("{} takes {}", file.display(), other.display())));
    }
    assert_eq!(between, BTreeSet::new(), "what two crates need is a crate of its own");
}

#[test]
fn comments_tell_what_is_and_not_what_was() {
    for (file, text) in sources("").into_iter().filter(|(file, _)| file != "tests/tidy.rs") {
        let comments = Comments::of(&file, &text).into_iter().flat_map(|comments| comments.read(&text));
        for (n, comment) in comments {
            let word = PAST.into_iter().find(|word| comment.contains(word));
            assert_eq!(word, None, "{file}:{n}: {comment}");
        }
    }
}

/// The rules see what they are for: each is broken here on purpose.
mod broken {
    use super::*;

    #[test]
    fn imports_are_read_through_braces_and_paths() {
        let text = "use crate::a::{self, b::{C, D as E}, F};\nuse super::{\n    g,\n    H,\n};\nmod k;\nfn f() { crate::i::J::new() + k::l() }\n";
        let used = names(text).used;
        let all =
            ["crate::a::self", "crate::a::b::C", "crate::a::b::D", "crate::a::F", "super::g", "super::H"];
        assert_eq!(used, [&all[..], &["crate::i::J::new", "k::l"]].concat());
    }

    #[test]
    fn circles_are_found() {
        let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")];
        let arrows = arrows.map(|(from, to)| (from.to_string(), BTreeSet::from([to.to_string()])));
        assert_eq!(circles(&BTreeMap::from(arrows)), BTreeSet::from([["b", "c"].map(String::from).into()]));
    }

    #[test]
    fn lines_of_functions_are_counted() {
        let text = "fn one() {\n    // Not code.\n    let a = 1;\n\n}\n\nimpl A {\n    pub const fn two(\n        a: u32,\n    ) {\n        let f = || {\n        };\n    }\n    fn three() {}\n}\n";
        let counted = functions(text);
        assert_eq!(counted, [("one".into(), 3), ("two".into(), 6), ("three".into(), 1)]);
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

    #[test]
    fn comments_of_each_language_are_read() {
        let read = |kind: Comments, text| kind.read(text).collect::<Vec<_>>();
        let hash = "#!/bin/sh\nx=$# y=${x#z} # one\n\t# two\n";
        assert_eq!(read(Comments::Hash, hash), [(1, "#!/bin/sh"), (2, "# one"), (3, "# two")]);
        assert_eq!(read(Comments::Slashes, "code\ncode // one\n/// two\n"), [(2, "// one"), (3, "/// two")]);
        assert_eq!(read(Comments::Block, "/* one\n * two */\n"), [(1, "/* one"), (2, " * two */")]);
        let kinds = [
            ("a.rs", ""),
            ("a.toml", ""),
            ("run", "#!/bin/sh"),
            ("a.c", ""),
            ("a.md", ""),
            ("LICENSE", "MIT"),
        ];
        let known = kinds.map(|(file, text)| Comments::of(file, text));
        let hash = Some(Comments::Hash);
        assert_eq!(known, [Some(Comments::Slashes), hash, hash, Some(Comments::Block), None, None]);
    }
}
