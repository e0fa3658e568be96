//! The function that owns a site: the innermost one of ours, else of a crate. A function of core that is not part of
//! any of them owns itself. A closure is part of the function around it.

use std::fmt;

const CLOSURE: &str = "{closure}";

/// A function at an address: the one that the code is in, or one that was inlined there.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    pub function: String,
    pub file: String,
    line: String,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.function, self.file, self.line)
    }
}

/// What addr2line prints: for each address its line, then two for each frame, the name and the place.
pub fn parse(text: &str) -> Vec<Vec<Frame>> {
    let mut found: Vec<Vec<Frame>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            found.push(Vec::new());
        } else if let (Some(frames), Some(place)) = (found.last_mut(), lines.next()) {
            let place = place.split(' ').next().unwrap_or_default();
            let (path, line_number) = place.rsplit_once(':').unwrap_or((place, "?"));
            let (function, file) = (simple(line), file(path));
            frames.push(Frame { function, file, line: line_number.to_string() });
        }
    }
    found
}

/// A function's own name, without its types, crate and module.
pub fn simple(name: &str) -> String {
    let name = without_closure_details(&without_types(name));
    let own = |name: &str| name.rsplit("::").next().unwrap_or_default().to_string();
    let closures = name.strip_suffix(CLOSURE).map(|before| before.trim_end_matches("{closure}::"));
    match closures {
        // A module's own closure, as that of a constant, has no function around it.
        Some(before) if before.matches("::").count() > 1 => own(before.trim_end_matches("::")),
        _ => own(&name),
    }
}

/// Without all that stands between angle brackets.
fn without_types(name: &str) -> String {
    let mut plain = name.to_string();
    while let Some(close) = plain.find('>') {
        let Some(open) = plain[..close].rfind('<') else { break };
        plain.replace_range(open..=close, "");
    }
    plain
}

/// `{{closure}}`, `{closure#3}` and `{closure_env#0}` are all `{closure}`.
fn without_closure_details(name: &str) -> String {
    let (mut plain, mut rest) = (String::new(), name);
    while let Some((before, after)) = rest.split_once("{closure") {
        plain.push_str(before.trim_end_matches('{'));
        let Some((_, behind)) = after.split_once('}') else { return name.to_string() };
        plain.push_str(CLOSURE);
        rest = behind.trim_start_matches('}');
    }
    plain + rest
}

/// A file as the document names it: `src/…` of this package, `CRATE/src/…` of another, `core/src/…` of the library.
fn file(path: &str) -> String {
    if let Some((_, below)) = path.split_once("/registry/src/") {
        let below = below.split_once('/').map_or(below, |(_, below)| below);
        let (package, rest) = below.split_once('/').unwrap_or((below, ""));
        let is_version =
            |(at, _): &(usize, &str)| package[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        let name = package.match_indices('-').find(is_version).map_or(package, |(at, _)| &package[..at]);
        return format!("{name}/{rest}");
    }
    if let Some((_, below)) = path.rsplit_once("/library/") {
        return below.to_string();
    }
    path.rsplit_once("/src/").map_or_else(|| path.to_string(), |(_, below)| format!("src/{below}"))
}

/// File and function to blame for what happens in these frames.
pub fn blamed(frames: &[Frame]) -> (String, String) {
    let first = |wanted: fn(&str) -> bool| frames.iter().position(|frame| wanted(&frame.file));
    let ours = first(|file| file.starts_with("src/"));
    let of_a_crate = || first(|file| !file.starts_with("core/") && !file.starts_with("alloc/"));
    let Some(best) = ours.or_else(of_a_crate).or(frames.len().checked_sub(1)) else {
        return ("?".to_string(), "?".to_string());
    };
    let best = &frames[best];
    let around = frames.iter().skip_while(|frame| *frame != best).filter(|frame| frame.file == best.file);
    let function = around.map(|frame| &frame.function).find(|function| *function != CLOSURE);
    (best.file.clone(), function.unwrap_or(&best.function).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_types_crates_and_closures() {
        let names = [
            ("core::panicking::panic_bounds_check", "panic_bounds_check"),
            ("<alloc::vec::Vec<T, A> as core::ops::index::Index<I>>::index", "index"),
            ("xenstore::slots::arena::Arena<T>::at", "at"),
            ("xenstore::store::Store::sweep::{{closure}}", "sweep"),
            ("xenstore::store::Store::sweep::{closure#0}::{closure#1}", "sweep"),
            ("{closure_env#0}<u8>", "{closure}"),
            ("start::{closure#0}", "{closure}"),
            ("memcpy", "memcpy"),
        ];
        for (name, own) in names {
            assert_eq!(simple(name), own, "{name}");
        }
    }

    #[test]
    fn files_are_named_from_their_package_on() {
        let files = [
            ("/home/a/src/xenstore/src/store/mod.rs", "src/store/mod.rs"),
            ("/rustc/0123abcd/library/core/src/option.rs", "core/src/option.rs"),
            (
                "/home/a/.cargo/registry/src/index-0123/linked_list-x-0.10.6/src/hole.rs",
                "linked_list-x/src/hole.rs",
            ),
            ("??", "??"),
        ];
        for (path, name) in files {
            assert_eq!(file(path), name, "{path}");
        }
    }

    /// The blame for frames that are written as `function file`.
    fn blame(frames: &[&str]) -> String {
        let frame = |text: &&str| {
            let (function, file) = text.split_once(' ').expect("two words");
            Frame { function: function.to_string(), file: file.to_string(), line: "1".to_string() }
        };
        let (file, function) = blamed(&frames.iter().map(frame).collect::<Vec<_>>());
        format!("{function} {file}")
    }

    #[test]
    fn ours_is_to_blame_before_a_crate_and_that_before_core() {
        let [core, krate, ours] = ["get core/src/a.rs", "push heapless/src/b.rs", "serve src/c.rs"];
        assert_eq!(blame(&[core, krate, ours, "main src/d.rs"]), ours);
        assert_eq!(blame(&[core, krate, core]), krate);
        assert_eq!(blame(&[core, "new core/src/e.rs"]), "new core/src/e.rs");
    }

    #[test]
    fn a_closure_is_part_of_the_function_around_it() {
        let closure = "{closure} src/c.rs";
        assert_eq!(blame(&[closure, "map core/src/a.rs", closure, "serve src/c.rs"]), "serve src/c.rs");
        assert_eq!(blame(&[closure, "map core/src/a.rs"]), closure);
    }

    #[test]
    fn what_addr2line_prints_is_read() {
        let text = "0x0000000000201000\na::b\n/x/src/a.rs:7 (discriminator 2)\nc\n??:?\n0x0000000000201004\nd\n/x/src/d.rs:9\n";
        let frames = parse(text);
        let shown: Vec<Vec<String>> =
            frames.iter().map(|frames| frames.iter().map(Frame::to_string).collect()).collect();
        assert_eq!(shown, [vec!["b (src/a.rs:7)", "c (??:?)"], vec!["d (src/d.rs:9)"]]);
    }
}
