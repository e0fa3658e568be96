//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// Which the script beside it prints without compiling this.
pub const USAGE: &str = include_str!("usage.txt");

#[derive(Default, PartialEq, Debug)]
pub struct Arguments {
    /// Prints each branch, too.
    pub sites: bool,
    pub file: Option<PathBuf>,
}

/// What is wanted; none if that is the usage.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    for word in words {
        match word.to_str() {
            Some("--help" | "-h") => return Ok(None),
            Some("--sites") => arguments.sites = true,
            Some(option) if option.starts_with('-') => {
                return Err(format!("no option '{option}'; allowed: --help --sites"));
            }
            _ if arguments.file.is_some() => return Err("one file at most is allowed".to_string()),
            _ => arguments.file = Some(PathBuf::from(word)),
        }
    }
    Ok(Some(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Option<Arguments>, String> {
        parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn what_is_allowed_is_taken_and_all_else_told() {
        let file = Some(PathBuf::from("image"));
        assert_eq!(parsed(""), Ok(Some(Arguments { sites: false, file: None })));
        assert_eq!(parsed("--sites image"), Ok(Some(Arguments { sites: true, file })));
        assert_eq!(parsed("image -h"), Ok(None));
        assert_eq!(parsed("--frob"), Err("no option '--frob'; allowed: --help --sites".to_string()));
        assert_eq!(parsed("a b"), Err("one file at most is allowed".to_string()));
    }
}
