//! The page: what a reader gains, all tables with their drawings, the goals, and what was measured with what.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use crate::goals::{GAINS, TABLES, Table};
use crate::kept::Kept;
use crate::plot;
use crate::report::{Tally, gain, render_goals, render_table};
use measure::figure::Figure;

const HEAD: &str = "\
# Performance

What requests cost on this server and on Xen's own. `scripts/bench --save` measures all of it and writes this page; the
figures themselves are in [performance.jsonl](performance.jsonl), one a line.

";

/// Makes the page. Drawings go to `folder`, if there is one.
pub fn write(kept: &Kept, folder: Option<&Path>) -> Result<(String, Tally), Box<dyn Error>> {
    let (figures, mut page, mut tally) = (&kept.figures[..], HEAD.to_string(), Tally::default());
    let gains: Vec<String> = GAINS.iter().filter_map(|line| gain(line, TABLES, figures)).collect();
    if !gains.is_empty() {
        writeln!(page, "In short:\n\n- {}\n", gains.join("\n- "))?;
    }
    let mut goals = String::new();
    for table in TABLES {
        section(table, figures, folder, &mut page)?;
        render_goals(table, figures, &mut goals, &mut tally)?;
    }
    if !goals.is_empty() {
        writeln!(page, "## Goals\n\n| table | goal | result |\n|---|---|---|\n{goals}")?;
    }
    if !kept.runs.is_empty() {
        writeln!(page, "## Measured with\n\n| tables | |\n|---|---|")?;
        for (tables, about) in kept.by_run() {
            writeln!(page, "| {tables} | {about} |")?;
        }
        writeln!(page)?;
    }
    writeln!(page, "{} goals met, {} missed.", tally.met, tally.missed)?;
    Ok((page, tally))
}

/// Writes one table and its drawings, if there are figures for it.
fn section(
    table: &Table,
    figures: &[Figure],
    folder: Option<&Path>,
    page: &mut String,
) -> Result<(), Box<dyn Error>> {
    render_table(table, figures, page)?;
    let Some(folder) = folder else { return Ok(()) };
    for plot in table.plots {
        if plot::draw(table, plot, figures, &folder.join(plot.file))? {
            writeln!(page, "![{} by {}]({})\n", plot.y, plot.x, plot.file)?;
            if !plot.note.is_empty() {
                writeln!(page, "{}\n", plot.note)?;
            }
        }
    }
    Ok(())
}
