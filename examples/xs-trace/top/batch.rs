//! `top --batch`: a table as plain text after each delay, all domains in it, those with most requests first.

use std::io::{self, Write, stdout};
use std::thread::sleep;

use super::columns::{Column, Sorting};
use super::names::Names;
use serde_json::{Value, json};

use super::rates::{Row, Table};
use super::sample::Sample;
use super::{heading, levels, refusals, sums};
use crate::arguments::TopOptions;
use store_client::Problem;
use store_client::Store;

const WIDTH: usize = 100;
const NAME: usize = WIDTH - 60;

pub fn run(mut store: Store, options: &TopOptions) -> Result<(), Problem> {
    let mut names = Names::default();
    let mut before = Sample::take(&mut store)?;
    let mut left = if options.once { Some(1) } else { options.tables };
    while left != Some(0) {
        sleep(options.delay);
        let after = Sample::take(&mut store)?;
        names.keep(|domid| after.domains.contains_key(&domid));
        names.renew(&mut store)?;
        names.learn(&mut store, after.domains.keys().copied())?;
        let mut table = Table::between(&before, &after, &names.known);
        Sorting::by(Column::Requests).sort(&mut table.rows);
        let printed = if options.json { writeln!(stdout(), "{}", object(&table)) } else { print(&table) };
        match printed {
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
    refusals(table).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out)?;
    let mut line = |cell: &dyn Fn(Column) -> String| {
        let cells = Column::ALL.map(|column| column.fit(&cell(column), NAME));
        writeln!(out, "{}", cells.join(" "))
    };
    line(&|column| column.title().to_owned())?;
    table.rows.iter().try_for_each(|row| line(&|column| column.cell(row)))?;
    writeln!(out)
}

/// A table's members: rates are of a second, totals since the start.
fn object(table: &Table) -> Value {
    let levels = table
        .levels
        .iter()
        .map(|level| (level.what.clone(), json!({ "used": level.used, "room": level.room })));
    json!({
        "running-ms": table.running_ms,
        "trace-on": table.recording,
        "requests": table.requests,
        "errors": table.errors,
        "events": table.events,
        "ram-kib": table.ram.kib,
        "ram-limit-kib": table.ram.limit_kib,
        "growths": table.ram.growths,
        "growth-refused": table.ram.refused,
        "memory": levels.collect::<serde_json::Map<_, _>>(),
        "refused": table.refused.iter().map(|case| case.object(table.name(case.domid))).collect::<Vec<_>>(),
        "domains": table.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let mut members = row.total.members();
    for (name, value) in [
        ("domid", json!(row.domid)),
        ("name", json!(row.name)),
        ("requests-per-second", json!(row.requests)),
        ("events-per-second", json!(row.events)),
        ("microseconds", json!(row.latency)),
    ] {
        members.insert(name.to_owned(), value);
    }
    members.into()
}
