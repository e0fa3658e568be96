//! What stands in a table: numbers with their units, as people, programs and a page's script read them.

use std::fmt;

use serde_json::{Value, json};

pub enum Cell {
    Text(String),
    Count(usize),
    /// Nanoseconds that something took.
    Time(u64),
    /// Nanoseconds since the server's start.
    At(u64),
    Number(f64),
    /// By which part something has grown: 0.5 is by half, infinity from nothing.
    Growth(f64),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    pub fn is_numeric(&self) -> bool {
        !matches!(self, Cell::Text(_))
    }

    /// What the name of its column has in JSON, where values stand without units.
    pub fn unit(&self) -> &'static str {
        match self {
            Cell::Time(_) => " µs",
            Cell::Growth(_) => " %",
            _ => "",
        }
    }

    pub fn value(&self) -> Value {
        match self {
            Cell::Text(text) => text.as_str().into(),
            Cell::Count(count) => (*count).into(),
            Cell::Time(nanos) => json!(*nanos as f64 / 1e3),
            Cell::At(nanos) => json!(*nanos as f64 / 1e9),
            Cell::Number(number) => json!(number),
            // Of what was not there before it is null, as JSON has no infinite number.
            Cell::Growth(part) => json!(part * 100.0),
        }
    }

    /// What rows are sorted by; text is by itself.
    pub fn weight(&self) -> Option<f64> {
        match self {
            Cell::Text(_) => None,
            Cell::Count(count) => Some(*count as f64),
            Cell::Time(nanos) | Cell::At(nanos) => Some(*nanos as f64),
            Cell::Number(number) | Cell::Growth(number) => Some(*number),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Count(count) => write!(f, "{count}"),
            Cell::Time(nanos) => f.write_str(&duration(*nanos)),
            Cell::At(nanos) => f.write_str(&seconds(*nanos)),
            Cell::Number(number) => write!(f, "{number:.1}"),
            Cell::Growth(part) if part.is_infinite() => f.write_str("new"),
            Cell::Growth(part) if *part <= -1.0 => f.write_str("gone"),
            Cell::Growth(part) => write!(f, "{:+.0} %", part * 100.0),
        }
    }
}

/// Nanoseconds with the unit that suits them: µs, ms or s.
pub fn duration(nanos: u64) -> String {
    let micros = nanos as f64 / 1e3;
    // What would be rounded up to 1000 has the next unit.
    match micros {
        micros if micros < 999.95 => format!("{micros:.1} µs"),
        micros if micros < 999_950.0 => format!("{:.1} ms", micros / 1e3),
        micros => format!("{:.1} s", micros / 1e6),
    }
}

/// Nanoseconds as seconds since the start.
pub fn seconds(nanos: u64) -> String {
    format!("{:.6}", nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        for (nanos, text) in [
            (0, "0.0 µs"),
            (940, "0.9 µs"),
            (34_100, "34.1 µs"),
            (999_949, "999.9 µs"),
            (999_950, "1.0 ms"),
            (12_345_678, "12.3 ms"),
            (999_950_000, "1.0 s"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn growth_is_told_in_percent() {
        for (part, text) in [(0.5, "+50 %"), (-0.25, "-25 %"), (f64::INFINITY, "new"), (-1.0, "gone")] {
            assert_eq!(Cell::Growth(part).to_string(), text);
        }
    }
}
