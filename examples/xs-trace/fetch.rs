//! Takes a dump of a running store, which records meanwhile unless it is held.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use xenstore::abi::DomId;
use xenstore::trace::Kind;
use xenstore::trace::Record;
use xenstore::trace::page::Head;
use xenstore::wire::MessageType;

use crate::about::About;
use crate::dump::{Dump, Gap, Notes, RECORDING, hash_name, records_of};
use store_client::{Problem, Store};

/// Hashes that are asked for at once: the request fits what the kernel's device takes.
const HASHES: usize = 100;

/// A held store records again by itself after so many seconds, unless it is told anew to wait so long: whoever holds it
/// may be killed.
const HELD: u64 = 60;

/// When it is told anew.
const RENEWED: Duration = Duration::from_secs(HELD / 4);

/// While it records.
pub fn running(store: &mut Store) -> Result<Dump, Problem> {
    fetch(store, &AtomicBool::new(false), &mut |_| Ok(()))
}

/// While it records nothing. However that ends, it records again then, unless an operator has it off.
pub fn held(store: &mut Store) -> Result<Dump, Problem> {
    let stop = told_to_stop()?;
    let mut told = None;
    let mut hold = |store: &mut Store| {
        if told.is_none_or(|told: Instant| told.elapsed() >= RENEWED) && !is_kept_off(store)? {
            store.control(&["trace", "off", &HELD.to_string()])?;
            told = Some(Instant::now());
        }
        Ok(())
    };
    let dump = fetch(store, &stop, &mut hold);
    if told.is_none() {
        return dump;
    }
    let ended = is_kept_off(store).and_then(|off| {
        if !off {
            store.control(&["trace", "on"])?;
        }
        Ok(!off)
    });
    let records = ended.map_err(|problem| {
        Problem::new(format!("{problem}; it may be off for {HELD} s more: xenstore-control trace on"))
    })?;
    let mut dump = dump?;
    if records {
        dump.notes.stats[RECORDING] = 1.into();
    }
    Ok(dump)
}

/// By which somebody has this program end.
const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

fn unnoticed(error: io::Error) -> Problem {
    Problem::new(format!("no way to notice signals: {error}"))
}

/// Is set when somebody has this program end, which then sees to that itself.
pub fn told_to_stop() -> Result<Arc<AtomicBool>, Problem> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in ENDING {
        signal_hook::flag::register(signal, stop.clone()).map_err(unnoticed)?;
    }
    Ok(stop)
}

/// From now on that ends it at once, as it does any program.
pub fn stop_when_told() -> Result<(), Problem> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in ENDING {
        signal_hook::flag::register_conditional_default(signal, always.clone()).map_err(unnoticed)?;
    }
    Ok(())
}

/// True if it records nothing until somebody says so, or for longer than any hold: then an operator wants that.
fn is_kept_off(store: &mut Store) -> Result<bool, Problem> {
    let state = store.control(&["trace"])?;
    let mut values = state.lines().filter_map(|line| line.split_once(':')).map(|(_, value)| value.trim());
    let off = values.next() == Some("off");
    let seconds = values.next().and_then(|seconds| seconds.parse::<u64>().ok());
    Ok(off && seconds.is_some_and(|seconds| seconds == 0 || seconds > HELD))
}

/// All records that were there when it began, until `stop` is set. Those of its own requests, but for the first's
/// begin, come later. Before each page it has `hold` see to the store.
fn fetch(
    store: &mut Store,
    stop: &AtomicBool,
    hold: &mut dyn FnMut(&mut Store) -> Result<(), Problem>,
) -> Result<Dump, Problem> {
    hold(store)?;
    let (head, mut records) = page(store, 0)?;
    let Head { first, end, khz, started, .. } = head;
    let mut gaps = Vec::new();
    // Draws nothing if the standard error is no terminal.
    let bar = ProgressBar::new(end.saturating_sub(first)).with_style(style());
    // The texts of a page's hashes are asked for at once, since a store that records forgets them.
    let mut paths = Paths::default();
    paths.learn(store, &records)?;
    let mut next = first.saturating_add(head.count);
    while next < end {
        if stop.load(Relaxed) {
            return Err(Problem::new("interrupted: nothing is saved"));
        }
        hold(store)?;
        let (head, more) = page(store, next)?;
        if more.is_empty() || head.first < next {
            return Err(Problem::new("the store's trace has ended before the number that it told"));
        }
        if head.first > next {
            gaps.push(Gap { before: records.len(), count: head.first.min(end) - next });
        }
        let wanted = usize::try_from(end.saturating_sub(head.first)).unwrap_or(usize::MAX);
        let more = more.get(..wanted).unwrap_or(&more);
        paths.learn(store, more)?;
        records.extend(more);
        next = head.first.saturating_add(head.count);
        bar.set_position(next.min(end) - first);
    }
    let notes = Notes {
        khz,
        started,
        first,
        gaps,
        paths: paths.known,
        names: names(store, &records)?,
        stats: stats(store)?,
        about: About::ask(store)?,
    };
    bar.finish_and_clear();
    Ok(Dump { notes, records })
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len}, {eta} left");
    style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}

/// The records from a number on, as many as one answer has.
pub fn page(store: &mut Store, from: u64) -> Result<(Head, Vec<Record>), Problem> {
    let page = store.control(&["trace", "dump", &from.to_string()])?;
    let (head, text) =
        Head::parse(&page).map_err(|bad| Problem::new(format!("the store answers with {bad}")))?;
    let bytes = STANDARD.decode(text.trim_end()).ok();
    let records = bytes.and_then(|bytes| records_of(&bytes));
    let records = records.filter(|records| records.len() as u64 == head.count);
    let records = records.ok_or_else(|| Problem::new("the store answers with a page that is damaged"))?;
    Ok((head, records))
}

/// What hashes stand for.
#[derive(Default)]
pub struct Paths {
    /// As far as the store knows.
    pub known: BTreeMap<String, String>,
}

impl Paths {
    /// Asks for the hashes of these records that are not known. What the store had forgotten it may know again, once somebody
    /// has asked it for that path.
    pub fn learn(&mut self, store: &mut Store, records: &[Record]) -> Result<(), Problem> {
        let hashes: BTreeSet<u64> =
            records.iter().map(|record| record.hash).filter(|hash| *hash != 0).collect();
        let hashes = hashes.into_iter().map(hash_name).filter(|hash| !self.known.contains_key(hash));
        let hashes: Vec<String> = hashes.collect();
        let mut rest = hashes.as_slice();
        while !rest.is_empty() {
            let mut words = vec!["trace", "paths"];
            words.extend(rest.iter().take(HASHES).map(String::as_str));
            let answer = store.control(&words)?;
            for (hash, path) in answer.lines().filter_map(|line| line.split_once(' ')) {
                if path != "?" {
                    self.known.insert(hash.to_string(), path.to_string());
                }
            }
            // An answer has room for fewer lines than were asked for. The path that has not even fit alone is left.
            rest = rest.get(answer.lines().count().max(1)..).unwrap_or_default();
        }
        Ok(())
    }
}

fn names(store: &mut Store, records: &[Record]) -> Result<BTreeMap<u16, String>, Problem> {
    let mut domains: BTreeSet<u16> = records.iter().map(|record| record.domid.0).collect();
    let conflicts = records.iter().filter(|record| record.kind == Kind::TransactionConflict);
    domains.extend(conflicts.filter_map(|record| u16::try_from(record.amount).ok()));
    domains.remove(&DomId::INVALID.0);
    let mut names = BTreeMap::new();
    for domid in domains {
        match store.request(MessageType::Read, format!("/local/domain/{domid}/name\0").as_bytes()) {
            Ok(name) => drop(names.insert(domid, name.escape_ascii().to_string())),
            Err(Problem::Refused { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(names)
}

fn stats(store: &mut Store) -> Result<serde_json::Value, Problem> {
    let answer = store.control(&["stats", "json"])?;
    serde_json::from_str(&answer)
        .map_err(|error| Problem::new(format!("the store's stats are no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use xenstore::wire::Header;

    use super::*;

    /// Nothing for which it has an answer is asked for again: the store here is gone by then.
    #[test]
    fn what_the_store_had_forgotten_is_asked_for_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("bind");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            for answer in ["0000000000000007 ?\n\0", "0000000000000007 /a\n\0"] {
                let mut header = [0; Header::SIZE];
                stream.read_exact(&mut header).expect("a request");
                let header = Header::parse(&header);
                stream.read_exact(&mut vec![0; header.len as usize]).expect("its payload");
                let header = Header { len: answer.len() as u32, ..header };
                stream.write_all(&[&header.emit(), answer.as_bytes()].concat()).expect("sent");
            }
        });
        let open = Store::open(Some(&socket), Some(Duration::from_secs(60)));
        let mut store = open.unwrap_or_else(|problem| panic!("{problem}"));
        let record = Record { hash: 7, ..Record::new(Kind::Ended, DomId(0)) };
        let mut paths = Paths::default();
        for known in [None, Some("/a"), Some("/a")] {
            paths.learn(&mut store, &[record, record]).unwrap_or_else(|problem| panic!("{problem}"));
            assert_eq!(paths.known.get("0000000000000007").map(String::as_str), known);
        }
        server.join().expect("it ends");
    }
}
