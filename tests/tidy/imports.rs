//! Which file uses which: its imports and whole paths, each resolved to the file that it comes from.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{code, files};

/// Where a file's module stands: the crate's root file, and the names from there.
pub fn module(file: &str) -> (&'static str, Vec<String>) {
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
pub fn is_root(file: &str) -> bool {
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

/// What a file uses of others, as written: its imports, and what it names by a whole path. What it only re-exports
/// (`pub use`) is apart.
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

/// The sources, and which uses which.
pub struct House {
    pub files: BTreeMap<String, String>,
    modules: BTreeMap<(&'static str, Vec<String>), String>,
    /// The origin of each name that a module re-exports.
    handed_on: BTreeMap<(String, String), Vec<String>>,
}

impl House {
    pub fn new() -> House {
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
    pub fn arrows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let arrow = |file: &String, text: &String| {
            let used = names(text).used;
            let paths = used.iter().map(|path| path.split("::").map(String::from).collect::<Vec<_>>());
            let taken = paths.filter_map(|path| self.resolve(file, &path, 4));
            taken.filter(|other| other != file).collect()
        };
        self.files.iter().map(|(file, text)| (file.clone(), arrow(file, text))).collect()
    }
}

#[test]
fn imports_are_read_through_braces_and_paths() {
    let text = "use crate::a::{self, b::{C, D as E}, F};\nuse super::{\n    g,\n    H,\n};\nmod k;\nfn f() { crate::i::J::new() + k::l() }\n";
    let used = names(text).used;
    let all = ["crate::a::self", "crate::a::b::C", "crate::a::b::D", "crate::a::F", "super::g", "super::H"];
    assert_eq!(used, [&all[..], &["crate::i::J::new", "k::l"]].concat());
}
