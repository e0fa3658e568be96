//! `top --batch`: a table as plain text after each delay, all domains in it, those with most requests first.

use std::io::{self, Write, stdout};
use std::thread::sleep;

use super::columns::{Column, Sorting};
use super::names::Names;
use super::options::Options;
use super::rates::Table;
use super::sample::Sample;
use super::{heading, levels, sums};
use store_client::Problem;
use store_client::Store;

const WIDTH: usize = 100;
const NAME: usize = WIDTH - 60;

pub fn run(mut store: Store, options: &Options) -> Result<(), Problem> {
    let mut names = Names::default();
    let mut before = Sample::take(&mut store)?;
    let mut left = options.tables;
    while left != Some(0) {
        sleep(options.delay);
        let after = Sample::take(&mut store)?;
        names.keep(|domid| after.domains.contains_key(&domid));
        names.learn(&mut store, after.domains.keys().copied())?;
        let mut table = Table::between(&before, &after, &names.known);
        Sorting::by(Column::Requests).sort(&mut table.rows);
        match print(&table) {
            // Who reads it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            printed => printed.map_err(|error| Problem::new(format!("standard output: {error}")))?,
        }
        before = after;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn print(table: &Table) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "xs-trace top - {}\n{}", heading(table), sums(table))?;
    levels(table, WIDTH, usize::MAX).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out)?;
    let mut line = |cell: &dyn Fn(Column) -> String| {
        let cells = Column::ALL.map(|column| column.fit(&cell(column), NAME));
        writeln!(out, "{}", cells.join(" "))
    };
    line(&|column| column.title().to_owned())?;
    table.rows.iter().try_for_each(|row| line(&|column| column.cell(row)))?;
    writeln!(out)
}
