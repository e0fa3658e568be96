//! `metrics`: the store's sums for Prometheus, once, as a file for node_exporter, or for scrapes.

mod families;
mod listen;
mod looks;
mod text;

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

pub use text::Form;

use crate::arguments::MetricsOptions;
use crate::dump::write;
use crate::stats::Stats;
use store_client::Problem;
use store_client::Store;

/// Longest time for a connection, or for the store to answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(options: &MetricsOptions) -> Result<(), Problem> {
    let place = options.store.place.as_deref();
    match (&options.textfile, options.listen) {
        (Some(file), _) => {
            // A store that does not answer is news, too.
            let stats = look_in_time(place);
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

/// A store that hangs answers nothing, so somebody else waits for it.
fn look_in_time(place: Option<&Path>) -> Result<Stats, Problem> {
    let place = place.map(Path::to_path_buf);
    let (told, looked) = channel();
    thread::spawn(move || drop(told.send(look(place.as_deref()))));
    looked.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        Err(Problem::new(format!("the store has not answered for {} s", PATIENCE.as_secs())))
    })
}

/// Replaces a file at one stroke, so that nobody reads half of it.
fn replace(file: &Path, text: &str) -> Result<(), Problem> {
    let mut new = file.as_os_str().to_owned();
    // node_exporter reads files that end in .prom.
    new.push(".new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    written.map_err(|error| Problem::new(format!("{}: {error}", file.display())))
}
