//! Figures from what Xen's `test-xenstore` prints.

use std::io::{BufRead, Error, Result};

use measure::figure::Figure;

/// Reads the output of scripts/nested.d/jobs/measure.sh, whose nanoseconds are instructions, and where `column: NAME`
/// precedes each run's lines. Those are of table 6; with a column's name here, the average and the worst are of table 8.
pub fn figures(lines: impl BufRead, column: Option<&str>) -> Result<Vec<Figure>> {
    let (mut figures, mut named) = (Vec::new(), None);
    for line in lines.lines() {
        let line = line?;
        if let Some(name) = line.strip_prefix("column: ") {
            named = Some(name.to_string());
        } else if let Some(test) = Test::parse(&line) {
            let mut figure = |table, column: &str, value| {
                figures.push(Figure::new(table, test.name, column, value, "instructions"));
            };
            match (column, &named) {
                (Some(column), _) => {
                    figure(8, &format!("{column}, average"), test.average);
                    figure(8, &format!("{column}, worst"), test.worst);
                }
                (None, Some(named)) => figure(6, named, test.average),
                (None, None) => return Err(Error::other("a figure without a column")),
            }
        }
    }
    if figures.is_empty() { Err(Error::other("test-xenstore has printed no figure")) } else { Ok(figures) }
}

struct Test<'a> {
    name: &'a str,
    average: f64,
    worst: f64,
}

impl Test<'_> {
    /// `read 1    : avg: 79762 ns (79390 ns .. 86341 ns)`
    fn parse(line: &str) -> Option<Test<'_>> {
        let (name, rest) = line.split_once(": avg: ")?;
        let (average, rest) = rest.split_once(" ns (")?;
        let (_, worst) = rest.strip_suffix(" ns)")?.split_once(" ns .. ")?;
        Some(Test { name: name.trim_end(), average: average.parse().ok()?, worst: worst.parse().ok()? })
    }
}
