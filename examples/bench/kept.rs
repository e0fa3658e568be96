//! The figures that the page is made of, with what each table was measured with: one line of JSON each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, ErrorKind, Result};
use std::path::Path;

use measure::figure::Figure;
use serde_json::{Value, json};

#[derive(Default)]
pub struct Kept {
    pub figures: Vec<Figure>,
    /// By table, in words.
    pub runs: BTreeMap<u64, String>,
}

impl Kept {
    /// What one run has measured. Without words on how, it says nothing of that.
    pub fn of_a_run(figures: Vec<Figure>, about: &str) -> Kept {
        let about = about.trim();
        let tables = figures.iter().map(|figure| figure.table).filter(|_| !about.is_empty());
        let runs = tables.map(|table| (table, about.to_string())).collect();
        Kept { figures, runs }
    }

    /// What [`Kept::write`] has written; nothing if there is no such file.
    pub fn read(file: &Path) -> Result<Kept> {
        let lines = match std::fs::File::open(file) {
            Ok(file) => BufReader::new(file).lines().collect::<Result<Vec<_>>>()?,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut kept = Kept::default();
        for line in &lines {
            match run(line) {
                Some((table, about)) => drop(kept.runs.insert(table, about)),
                None => kept.figures.extend(Figure::read(line.as_bytes())?),
            }
        }
        Ok(kept)
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let mut tables: Vec<u64> = self.figures.iter().map(|figure| figure.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let mut lines = Vec::new();
        for table in tables {
            lines.extend(
                self.runs.get(&table).map(|about| json!({"table": table, "about": about}).to_string()),
            );
            lines.extend(self.figures.iter().filter(|figure| figure.table == table).map(Figure::line));
        }
        std::fs::write(file, lines.join("\n") + "\n")
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", file.display())))
    }

    /// Has the tables of `newer` in place of its own.
    pub fn renew(&mut self, newer: Kept) {
        self.figures.retain(|figure| !newer.figures.iter().any(|new| new.table == figure.table));
        self.figures.extend(newer.figures);
        self.runs.extend(newer.runs);
    }

    /// Which tables were measured with the same, and what that is.
    pub fn by_run(&self) -> Vec<(String, &str)> {
        let mut runs: Vec<(String, &str)> = Vec::new();
        for (table, about) in &self.runs {
            match runs.iter_mut().find(|(_, known)| known == about) {
                Some((tables, _)) => *tables += &format!(", {table}"),
                None => runs.push((table.to_string(), about)),
            }
        }
        runs
    }
}

fn run(line: &str) -> Option<(u64, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some((line.get("table")?.as_u64()?, line.get("about")?.as_str()?.to_string()))
}
