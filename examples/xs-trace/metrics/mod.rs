//! `metrics`: the store's sums for Prometheus, once, as a file for node_exporter, or for scrapes.

mod families;
mod listen;
mod looks;
mod text;

use std::fs;
use std::path::Path;
use std::time::Duration;

pub use text::Form;

use crate::arguments::MetricsOptions;
use crate::dump::write;
use crate::stats::Stats;
use store_client::{Place, Problem};

/// Longest time for a connection of a scraper.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(options: &MetricsOptions) -> Result<(), Problem> {
    match (&options.textfile, options.listen) {
        (Some(file), _) => {
            // A store that does not answer is news, too.
            let stats = look(&options.store);
            replace(file, &text::text(&families::families(stats.as_ref().ok()), Form::Text))?;
            stats.map(drop)
        }
        (None, Some(address)) => listen::serve(address, options.store.clone()),
        (None, None) => {
            let families = families::families(Some(&look(&options.store)?));
            write(Path::new("-"), text::text(&families, Form::OpenMetrics).as_bytes())
        }
    }
}

fn look(store: &Place) -> Result<Stats, Problem> {
    Stats::take(&mut store.open()?.in_all())
}

/// Replaces a file at one stroke, so that nobody reads half of it.
fn replace(file: &Path, text: &str) -> Result<(), Problem> {
    let mut new = file.as_os_str().to_owned();
    // node_exporter reads files that end in .prom.
    new.push(".new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    written.map_err(|error| {
        // What is left of it is nobody's, if there is any.
        let _ = fs::remove_file(&new);
        Problem::new(format!("{}: {error}", file.display()))
    })
}
