//! Tables in Markdown from figures, and apart from them which goals are met.

use std::fmt::{Result, Write};

use crate::goals::{Gain, Goal, Limit, Shape, Table};
use measure::figure::{Figure, leading_number};

/// Rows and columns in the order in which they first came.
struct Grid {
    rows: Vec<String>,
    columns: Vec<String>,
    figures: Vec<Figure>,
}

impl Grid {
    /// The figures of one table, with its constants for rows that were measured.
    fn new(table: &Table, all: &[Figure]) -> Grid {
        let figures = all.iter().filter(|figure| figure.table == table.number).cloned().collect();
        let mut grid = Grid { rows: Vec::new(), columns: Vec::new(), figures };
        let push = |names: &mut Vec<String>, name: &str| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        };
        for figure in &grid.figures {
            push(&mut grid.rows, &figure.row);
            push(&mut grid.columns, &figure.column);
        }
        if table.plots.iter().any(|plot| plot.shape == Shape::Lines) {
            let place = |row: &String| leading_number(row).unwrap_or(f64::INFINITY);
            grid.rows.sort_by(|a, b| place(a).total_cmp(&place(b)));
        }
        if let Some(constants) = &table.constants {
            for (row, value) in
                constants.rows.iter().filter(|(row, _)| grid.rows.iter().any(|known| known == row))
            {
                push(&mut grid.columns, constants.column);
                grid.figures.push(Figure::new(table.number, row, constants.column, *value, constants.unit));
            }
        }
        grid
    }

    fn at(&self, row: &str, column: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.row == row && figure.column == column)
    }

    /// How many times the figure of `base` this is, if they are of one kind.
    fn ratio(&self, row: &str, column: &str, base: &str) -> Option<f64> {
        let (figure, base) = (self.at(row, column)?, self.at(row, base)?);
        (figure.unit == base.unit && column != base.column).then(|| figure.value / base.value)
    }

    /// The figure or ratio that the goal speaks of, of several the worst.
    fn reached(&self, row: &str, goal: &Goal) -> Option<f64> {
        let about = |column: &&String| goal.column.is_none_or(|name| name == column.as_str());
        let reached = self.columns.iter().filter(about).filter_map(|column| match goal.limit {
            Limit::Times(_, than) => self.ratio(row, column, than),
            Limit::TimesCount(_) => {
                self.at(row, column).and_then(|figure| Some(figure.value / leading_number(row)?))
            }
            Limit::Value(_) | Limit::AtLeast(_) => self.at(row, column).map(|figure| figure.value),
        });
        match goal.limit {
            Limit::AtLeast(_) => reached.min_by(f64::total_cmp),
            _ => reached.max_by(f64::total_cmp),
        }
    }

    /// The columns by what stands together, at most [`WIDTH`] of them.
    fn parts(&self, table: &Table) -> Vec<Vec<&str>> {
        let known = |column: &&&str| self.columns.iter().any(|name| name == **column);
        let mut parts: Vec<Vec<&str>> = Vec::new();
        for part in table.parts {
            let part: Vec<&str> = part.iter().filter(known).copied().collect();
            // A column may stand in several parts, for the others to be compared with.
            if part.iter().any(|column| !parts.concat().contains(column)) {
                parts.push(part);
            }
        }
        let is_left = |name: &&str| !table.parts.iter().any(|part| part.contains(name));
        let left: Vec<&str> = self.columns.iter().map(String::as_str).filter(is_left).collect();
        parts.extend(left.chunks(WIDTH).map(<[_]>::to_vec));
        parts
    }
}

/// Columns beside that of the rows' names that a page has room for.
pub const WIDTH: usize = 4;

/// Which goals of a report are met.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Tally {
    pub met: usize,
    pub missed: usize,
}

/// Writes one table, if there are figures for it.
pub fn render_table(table: &Table, figures: &[Figure], out: &mut String) -> Result {
    let grid = &Grid::new(table, figures);
    if grid.figures.is_empty() {
        return Ok(());
    }
    writeln!(out, "## {}. {}\n\n{}\n", table.number, table.title, table.about)?;
    if let Some(base) = table.base {
        writeln!(out, "In brackets: relative to *{base}*.\n")?;
    }
    for columns in grid.parts(table) {
        write!(out, "| |")?;
        columns.iter().try_for_each(|column| write!(out, " {column} |"))?;
        writeln!(out, "\n|---|{}", "---:|".repeat(columns.len()))?;
        for row in &grid.rows {
            if columns.iter().all(|column| grid.at(row, column).is_none()) {
                continue;
            }
            write!(out, "| {row} |")?;
            columns.iter().try_for_each(|column| write!(out, " {} |", cell(table, grid, row, column)))?;
            writeln!(out)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn cell(table: &Table, grid: &Grid, row: &str, column: &str) -> String {
    let Some(figure) = grid.at(row, column) else { return String::new() };
    let value = number(figure.value);
    match table.base.and_then(|base| grid.ratio(row, column, base)) {
        Some(ratio) => format!("{value} ({ratio:.2})"),
        None => value,
    }
}

/// Writes a row for each goal of the table that there are figures for.
pub fn render_goals(table: &Table, figures: &[Figure], out: &mut String, tally: &mut Tally) -> Result {
    let grid = Grid::new(table, figures);
    for goal in table.goals {
        let is_meant =
            |row: &&String| goal.rows.is_empty() || goal.rows.iter().any(|part| row.contains(part));
        let rows = grid.rows.iter().filter(is_meant);
        let reached: Vec<_> = rows.filter_map(|row| Some((row, grid.reached(row, goal)?))).collect();
        let (met, missed): (Vec<_>, Vec<_>) = reached.into_iter().partition(|(_, value)| goal.is_met(*value));
        tally.met += met.len();
        tally.missed += missed.len();
        let result = match (met.len(), &missed[..]) {
            (0, []) => continue,
            (_, []) => "met".to_string(),
            (met, missed) => {
                let rows: Vec<_> =
                    missed.iter().map(|(row, value)| format!("{row} ({})", goal.shown(*value))).collect();
                let but = if met == 0 { String::new() } else { format!(", but met by {met} others") };
                format!("**missed** by {}{but}", rows.join("; "))
            }
        };
        let whose = if goal.rows.is_empty() { String::new() } else { format!("{}: ", goal.rows.join(", ")) };
        writeln!(out, "| {} | {whose}{} | {result} |", table.number, headline(goal))?;
    }
    Ok(())
}

fn headline(goal: &Goal) -> String {
    let who = goal.column.unwrap_or("every one");
    match goal.limit {
        Limit::Times(times, than) => format!("{who} at most {times} x {than}"),
        Limit::TimesCount(times) => format!("{who} at most {times} x their number"),
        Limit::Value(value) => format!("{who} at most {}", number(value)),
        Limit::AtLeast(value) => format!("{who} at least {}", number(value)),
    }
}

impl Goal {
    fn is_met(&self, reached: f64) -> bool {
        match self.limit {
            Limit::Times(limit, _) | Limit::TimesCount(limit) | Limit::Value(limit) => reached <= limit,
            Limit::AtLeast(limit) => reached >= limit,
        }
    }

    fn shown(&self, reached: f64) -> String {
        match self.limit {
            Limit::Times(..) | Limit::TimesCount(_) => format!("{reached:.3}"),
            Limit::Value(_) | Limit::AtLeast(_) => number(reached),
        }
    }
}

/// The sentence with its figures, if they are there.
pub fn gain(gain: &Gain, tables: &[Table], figures: &[Figure]) -> Option<String> {
    let grid = Grid::new(tables.iter().find(|table| table.number == gain.table)?, figures);
    let value = number(grid.at(gain.row, gain.column)?.value / gain.unit);
    let text = gain.text.replace("{}", &value);
    if !text.contains("{x}") {
        return Some(text);
    }
    let ratio = grid.ratio(gain.row, gain.column, gain.than)?;
    Some(text.replace("{x}", &format!("{ratio:.2}")))
}

/// Thousands are separated; only small numbers have decimals.
pub fn number(value: f64) -> String {
    if value < 100.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}
