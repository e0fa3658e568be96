//! `follow`: records as they are written, until the reader has seen enough.

use std::mem::take;
use std::thread::sleep;
use std::time::Duration;

use store_client::{Problem, tell};
use xenstore::trace::{Kind, Record};
use xenstore::wire::MessageType;

use crate::arguments::FollowOptions;
use crate::dump::{Dump, Gap, Notes, OFF};
use crate::fetch::{Paths, page};
use crate::filter::{Chosen, possible};
use crate::show;
use crate::top::Names;

/// Between two looks, once all records are read. Each look causes records itself, so that there are always some to find.
const PAUSE: Duration = Duration::from_millis(100);

/// Paths that are remembered; then they are asked for anew.
const PATHS: usize = 100_000;

pub fn run(options: &FollowOptions) -> Result<(), Problem> {
    possible(&options.filter)?;
    let mut store = options.store.open()?;
    if store.control(&["trace"])?.lines().next().is_some_and(|line| line.ends_with(": off")) {
        tell(format_args!("xs-trace: {OFF}"));
    }
    // From the newest on.
    let mut next = page(&mut store, u64::MAX)?.0.end;
    let (mut paths, mut names) = (Paths::default(), Names::default());
    loop {
        let (head, mut records) = page(&mut store, next)?;
        let gap = Gap { before: 0, count: head.first.saturating_sub(next) };
        next = head.first.saturating_add(head.count);
        let latest = records.last().map(|record| record.time);
        records.retain(|record| is_told(options, record));
        if paths.known.len() > PATHS {
            paths = Paths::default();
        }
        paths.learn(&mut store, &records)?;
        names.learn(&mut store, records.iter().map(|record| record.domid.0))?;
        let notes = Notes {
            khz: head.khz,
            started: head.started,
            first: head.first,
            gaps: Some(gap).filter(|gap| gap.count > 0).into_iter().collect(),
            paths: take(&mut paths.known),
            names: take(&mut names.known),
            ..Notes::default()
        };
        let dump = Dump { notes, records };
        // A domain may come later.
        let chosen = Chosen::of_any_domain(&dump, &options.filter);
        if show::print(&dump, &chosen, options.json)?.is_none() {
            return Ok(());
        }
        // Nothing that is to come is before that.
        if latest.is_some_and(|latest| chosen.is_past(latest)) {
            return Ok(());
        }
        (paths.known, names.known) = (dump.notes.paths, dump.notes.names);
        if next >= head.end {
            sleep(PAUSE);
        }
    }
}

/// What this program itself causes at each look is left out, unless it is asked for.
fn is_told(options: &FollowOptions, record: &Record) -> bool {
    let is_control = u32::from(record.msg_type) == MessageType::Control as u32
        && matches!(record.kind, Kind::Begun | Kind::Ended);
    match record.kind {
        Kind::WokeUp | Kind::Notified => options.filter.kinds.contains(&record.kind),
        _ => !is_control || options.filter.types.contains(&MessageType::Control),
    }
}
