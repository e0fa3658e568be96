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
        render_table(table, figures, &mut page, &mut tally)?;
        if let (Some(plot), Some(folder)) = (&table.plot, folder)
            && plot::draw(table, plot, figures, &folder.join(plot.file))?
        {
            writeln!(page, "![{} by {}]({})\n", plot.y, plot.x, plot.file)?;
        }
    }
    writeln!(page, "{} goals met, {} missed.", tally.met, tally.missed)?;
    Ok((page, tally))
}
