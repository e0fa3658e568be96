//! `metrics`: the store's sums for Prometheus, once, as a file for node_exporter, or for scrapes.

mod families;
mod listen;
mod text;

use std::fs;
use std::path::Path;

pub use text::Form;

use crate::arguments::MetricsOptions;
use crate::dump::write;
use crate::stats::Stats;
use store_client::Problem;
use store_client::Store;

pub fn run(options: &MetricsOptions) -> Result<(), Problem> {
    let place = options.store.place.as_deref();
    match (&options.textfile, options.listen) {
        (Some(file), _) => {
            // A store that does not answer is news, too.
            let stats = look(place);
            replace(file, &text::text(&families::families(stats.as_ref().ok()), Form::Text))?;
            stats.map(drop)
        }
        (None, Some(address)) => listen::serve(address, place.map(Path::to_path_buf)),
        (None, None) => {
            let families = families::families(Some(&look(place)?));
            write(Path::new("-"), text::text(&families, Form::OpenMetrics).as_bytes())
        }
    }
}

fn look(place: Option<&Path>) -> Result<Stats, Problem> {
    Stats::take(&mut Store::open(place)?)
}

/// Replaces a file at one stroke, so that nobody reads half of it.
fn replace(file: &Path, text: &str) -> Result<(), Problem> {
    let mut new = file.as_os_str().to_owned();
    // node_exporter reads files that end in .prom.
    new.push(".new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    written.map_err(|error| Problem::new(format!("{}: {error}", file.display())))
}
