//! Comments of each language, and what they may not tell.

use std::path::Path;

use crate::sources::{is_own, sources};

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

/// How a language has its comments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Comments {
    /// From `//` on.
    Slashes,
    /// From `#` on.
    Hash,
    /// Over many lines. Such files are read as a whole, since what they have besides looks like no comment.
    Block,
}

impl Comments {
    pub fn of(file: &str, text: &str) -> Option<Comments> {
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
pub fn start_of_hash(line: &str) -> Option<usize> {
    line.match_indices('#')
        .map(|(at, _)| at)
        .find(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace))
}

#[test]
fn comments_tell_what_is_and_not_what_was() {
    for (file, text) in sources("").into_iter().filter(|(file, _)| !is_own(file)) {
        let comments = Comments::of(&file, &text).into_iter().flat_map(|comments| comments.read(&text));
        for (n, comment) in comments {
            let word = PAST.into_iter().find(|word| comment.contains(word));
            assert_eq!(word, None, "{file}:{n}: {comment}");
        }
    }
}

#[test]
fn comments_of_each_language_are_read() {
    let read = |kind: Comments, text| kind.read(text).collect::<Vec<_>>();
    let hash = "#!/bin/sh\nx=$# y=${x#z} # one\n\t# two\n";
    assert_eq!(read(Comments::Hash, hash), [(1, "#!/bin/sh"), (2, "# one"), (3, "# two")]);
    assert_eq!(read(Comments::Slashes, "code\ncode // one\n/// two\n"), [(2, "// one"), (3, "/// two")]);
    assert_eq!(read(Comments::Block, "/* one\n * two */\n"), [(1, "/* one"), (2, " * two */")]);
    let kinds =
        [("a.rs", ""), ("a.toml", ""), ("run", "#!/bin/sh"), ("a.c", ""), ("a.md", ""), ("LICENSE", "MIT")];
    let known = kinds.map(|(file, text)| Comments::of(file, text));
    let hash = Some(Comments::Hash);
    assert_eq!(known, [Some(Comments::Slashes), hash, hash, Some(Comments::Block), None, None]);
}
