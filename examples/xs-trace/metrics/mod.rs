//! `metrics`: the store's sums for Prometheus, once, as a file for node_exporter, or for scrapes.

mod families;
mod listen;
mod looks;
mod text;

use std::path::Path;
use std::time::Duration;

pub use text::Form;

use crate::arguments::MetricsOptions;
use crate::dump::write;
use crate::stats::Stats;
use store_client::{Place, Problem};

/// Longest time for a connection of a scraper.
const PATIENCE: Duration = Duration::from_secs(10);

/// The mode of a file that node_exporter, which is another user, reads.
const READABLE: u32 = 0o644;

pub fn run(options: &MetricsOptions) -> Result<(), Problem> {
    match (&options.textfile, options.listen) {
        (Some(file), _) => {
            // A store that does not answer is news, too.
            let stats = look(&options.store);
            let text = text::text(&families::families(stats.as_ref().ok()), Form::Text);
            store_client::write(file, text.as_bytes(), READABLE).map_err(Problem::new)?;
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
