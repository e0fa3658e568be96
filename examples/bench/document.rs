//! The whole report: what was measured with what, all tables, and their drawings.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use crate::goals::Table;
use crate::plot;
use crate::report::{Tally, render_table};
use measure::figure::Figure;

const HEAD: &str = "\
# Performance

What requests cost on this server and on Xen's own, all measured in one run of `scripts/bench --save`, which
wrote this page. Every table says what its figures are to reach, and whether they do.

";

/// Makes the page. `about` is rows of a table with two columns. Drawings go to `folder`, if there is one.
pub fn write(
    tables: &[Table],
    figures: &[Figure],
    about: &str,
    folder: Option<&Path>,
) -> Result<(String, Tally), Box<dyn Error>> {
    let mut page = format!("{HEAD}| measured with | |\n|---|---|\n{about}\n");
    let mut tally = Tally::default();
    for table in tables {
        section(table, figures, folder, &mut page, &mut tally)?;
    }
    writeln!(page, "{}", goals(&tally))?;
    Ok((page, tally))
}

/// The same page with those tables anew that there are figures for. Each says then that it is of another run.
pub fn renew(
    old: &str,
    tables: &[Table],
    figures: &[Figure],
    about: &str,
    folder: &Path,
) -> Result<String, Box<dyn Error>> {
    let mut page = old.lines().filter(|line| !line.ends_with(" missed.")).collect::<Vec<_>>().join("\n");
    for table in tables {
        let mut new = String::new();
        section(table, figures, Some(folder), &mut new, &mut Tally::default())?;
        if new.is_empty() {
            continue;
        }
        let with: Vec<&str> = about.lines().filter_map(|row| row.split('|').nth(2)).map(str::trim).collect();
        write!(new, "Of a run of its own: {}.\n\n", with.join("; "))?;
        if !page.ends_with('\n') {
            page.push_str("\n\n");
        }
        let start = page.find(&format!("\n## {}. ", table.number)).map_or(page.len(), |at| at + 1);
        let rest = page.get(start..).unwrap_or_default();
        let end = rest.find("\n## ").map_or(page.len(), |at| start + at + 1);
        page.replace_range(start..end, &new);
    }
    let tally =
        Tally { met: page.matches("| met: ").count(), missed: page.matches("| **missed**: ").count() };
    Ok(format!("{}\n\n{}\n", page.trim_end(), goals(&tally)))
}

fn goals(tally: &Tally) -> String {
    format!("{} goals met, {} missed.", tally.met, tally.missed)
}

/// Writes one table and its drawing, if there are figures for it.
fn section(
    table: &Table,
    figures: &[Figure],
    folder: Option<&Path>,
    page: &mut String,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    render_table(table, figures, page, tally)?;
    if let (Some(plot), Some(folder)) = (&table.plot, folder)
        && plot::draw(table, plot, figures, &folder.join(plot.file))?
    {
        writeln!(page, "![{} by {}]({})\n", plot.y, plot.x, plot.file)?;
    }
    Ok(())
}
