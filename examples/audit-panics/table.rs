//! The sites counted by whose they are, and the document that explains them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// File, function, and what is called there.
type Row = (String, String, String);

#[derive(Default)]
pub struct Table(BTreeMap<Row, usize>);

impl Table {
    pub fn add(&mut self, (file, function): (String, String), kind: String) {
        *self.0.entry((file, function, kind)).or_default() += 1;
    }

    pub fn compare(self, document: &str) -> Report {
        let explained: BTreeSet<Row> = document.lines().filter_map(explanation).collect();
        let gone = explained.iter().filter(|row| !self.0.contains_key(*row)).cloned().collect();
        let rows = self.0.into_iter().map(|(row, sites)| (explained.contains(&row), row, sites)).collect();
        Report { rows, gone }
    }
}

/// A row of the document: | `file` | `function` | `what is called` | why it is not reached |
fn explanation(line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.splitn(4, " | ");
    let mut code = || {
        let cell = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        (!cell.is_empty() && !cell.contains('`')).then(|| cell.to_string())
    };
    let row = (code()?, code()?, code()?);
    cells.next().filter(|why| !why.trim().is_empty()).map(|_| row)
}

/// What was found: each row with whether it is explained and how many sites it has.
pub struct Report {
    rows: Vec<(bool, Row, usize)>,
    /// Rows of the document that nothing in the image is.
    gone: Vec<Row>,
}

impl Report {
    pub fn all_explained(&self) -> bool {
        self.rows.iter().all(|(explained, ..)| *explained)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (explained, (file, function, kind), sites) in &self.rows {
            let said = if *explained { "explained" } else { "NOT EXPLAINED" };
            writeln!(f, "{file:<44} {function:<28} {kind:<28} {sites:4} {said}")?;
        }
        let sites: usize = self.rows.iter().map(|(.., sites)| sites).sum();
        writeln!(f, "{sites} sites in {} rows", self.rows.len())?;
        self.gone.iter().try_for_each(|(file, function, kind)| {
            writeln!(f, "not found any more: {file} {function} {kind}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(sites: &[[&str; 3]], document: &str) -> Report {
        let mut table = Table::default();
        for [file, function, kind] in sites {
            table.add((file.to_string(), function.to_string()), kind.to_string());
        }
        table.compare(document)
    }

    const SITES: [[&str; 3]; 3] = [["a.rs", "f", "panic"], ["a.rs", "f", "panic"], ["a.rs", "g", "ud2"]];

    #[test]
    fn rows_are_counted_and_looked_up() {
        let both = "| file | function |\n| `a.rs` | `f` | `panic` | never | \n| `a.rs` | `f` | `panic` | why |\n| `a.rs` | `g` | `ud2` | a | b |\n";
        let report = compared(&SITES, both);
        assert!(report.all_explained());
        let words: Vec<String> = report
            .to_string()
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(words, ["a.rs f panic 2 explained", "a.rs g ud2 1 explained", "3 sites in 2 rows"]);
    }

    #[test]
    fn a_row_without_a_reason_explains_nothing() {
        for document in
            ["", "| `a.rs` | `f` | `panic` |  |", "| `a.rs` | `f` | `panic` |", "| a.rs | f | panic | why |"]
        {
            let report = compared(&SITES[..1], document);
            assert!(!report.all_explained(), "{document}");
            assert!(report.to_string().contains("1 NOT EXPLAINED\n1 sites in 1 rows\n"), "{report}");
        }
    }

    #[test]
    fn what_is_gone_from_the_image_is_told_and_no_failure() {
        let report = compared(&[], "| `a.rs` | `f` | `panic` | why |");
        assert!(report.all_explained());
        assert_eq!(report.to_string(), "0 sites in 0 rows\nnot found any more: a.rs f panic\n");
    }
}
