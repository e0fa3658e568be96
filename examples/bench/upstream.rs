//! Figures from what Xen's `test-xenstore` prints.

use std::io::{BufRead, Error, Result};

use measure::figure::Figure;

/// What its nanoseconds are.
#[derive(Clone, Copy)]
pub enum Clock {
    /// Instructions: one took one nanosecond. Of interest is the average.
    Counted,
    /// Time: the average and the worst.
    Timed,
}

/// Reads the output of scripts/nested.d/jobs/measure.sh, where `column: NAME` precedes each run's lines.
/// `column`, if given, replaces that name.
pub fn figures(lines: impl BufRead, clock: Clock, column: Option<&str>) -> Result<Vec<Figure>> {
    let (mut figures, mut named) = (Vec::new(), None);
    for line in lines.lines() {
        let line = line?;
        if let Some(name) = line.strip_prefix("column: ") {
            named = Some(name.to_string());
        } else if let Some(test) = Test::parse(&line) {
            let column =
                column.or(named.as_deref()).ok_or_else(|| Error::other("a figure without a column"))?;
            match clock {
                Clock::Counted => {
                    figures.push(Figure::new(6, test.name, column, test.average, "instructions"));
                }
                Clock::Timed => {
                    for (what, value) in [("average", test.average), ("worst", test.worst)] {
                        figures.push(Figure::new(8, test.name, &format!("{column}, {what}"), value, "ns"));
                    }
                }
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
