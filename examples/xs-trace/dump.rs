//! A dump: records of a store's flight recorder with all that is needed to read them, and its file.
//!
//! The file begins with the line `xenstore-trace-dump 1 json=<bytes> records=<count>`. So many bytes of JSON follow,
//! which are [`Notes`], then so many records in their wire form (`xenstore::trace::Record::to_bytes`), 32 bytes
//! each, and nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use xenstore::abi::DomId;
use xenstore::platform::Cycles;
use xenstore::trace::Record;

use crate::about::About;
use crate::gone;
use store_client::{ORDINARY, Problem, plural};

/// The first word of a file.
const NAME: &str = "xenstore-trace-dump";

/// The file's format.
const VERSION: u32 = 1;

/// The member of a store's statistics that is 0 while its trace is off.
pub const RECORDING: &str = "trace-on";

/// What is said of such a store.
pub const OFF: &str = "the trace is off: xenstore-control trace on";

/// Taking a dump takes less.
const SLACK: Duration = Duration::from_secs(300);

/// Longest first line.
const LINE_MAX: usize = 100;

pub struct Dump {
    pub notes: Notes,
    pub records: Vec<Record>,
}

#[derive(Serialize, Deserialize, Default)]
pub struct Notes {
    /// Cycles in a millisecond, in which the records' times count.
    pub khz: u64,
    /// When the server's program was entered, cycles.
    pub started: u64,
    /// Number of the first record here; those before it were overwritten before the dump began.
    pub first: u64,
    /// What was overwritten while the dump was taken, in the records' order.
    pub gaps: Vec<Gap>,
    /// What hashes stand for, by their hexadecimal digits: paths, and texts of marks.
    pub paths: BTreeMap<String, String>,
    /// Names of domains by their numbers, as far as the store has them.
    pub names: BTreeMap<u16, String>,
    /// The answer to CONTROL `stats json`.
    pub stats: serde_json::Value,
    /// Which store it was, and where; of a console's log that is not known.
    #[serde(default)]
    pub about: About,
}

/// Records that are missing between two that are here.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Gap {
    /// Index of the record behind it, from 0.
    pub before: usize,
    /// Records that are missing.
    pub count: u64,
}

impl Dump {
    /// What a record's hash stands for; none without a hash, `?` if that is unknown.
    pub fn path(&self, hash: u64) -> &str {
        match hash {
            0 => "",
            hash => self.notes.paths.get(&hash_name(hash)).map_or("?", String::as_str),
        }
    }

    /// A domain's number and name.
    pub fn domain(&self, domid: DomId) -> String {
        match self.notes.names.get(&domid.0) {
            _ if domid == DomId::INVALID => "server".to_string(),
            Some(name) => format!("d{domid} {name}"),
            None => format!("d{domid}"),
        }
    }

    /// Names domains that are gone as xl's logs in a folder do.
    pub fn name_the_gone(&mut self, logs: &Path) {
        // A little more, since some time has passed after the store was asked.
        let running = Duration::from_millis(self.notes.stats["running-ms"].as_u64().unwrap_or(0)) + SLACK;
        let since = SystemTime::now().checked_sub(running).unwrap_or(SystemTime::UNIX_EPOCH);
        let of_records = self.records.iter().map(|record| record.domid.0).collect::<BTreeSet<u16>>();
        for (domid, name) in gone::names(logs, since) {
            if of_records.contains(&domid) {
                self.notes.names.entry(domid).or_insert(name);
            }
        }
    }

    /// Whether the store recorded nothing when the dump was taken, so that it ends before that.
    pub fn is_off(&self) -> bool {
        self.notes.stats[RECORDING] == 0
    }

    /// Nanoseconds.
    pub fn nanos(&self, cycles: u64) -> u64 {
        let nanos = u128::from(cycles) * 1_000_000 / u128::from(self.notes.khz.max(1));
        nanos.try_into().unwrap_or(u64::MAX)
    }

    /// Microseconds.
    pub fn micros(&self, cycles: u32) -> f64 {
        self.nanos(cycles.into()) as f64 / 1e3
    }

    /// Nanoseconds from the entry into the server's program to then.
    pub fn since_start(&self, time: Cycles) -> u64 {
        self.nanos(time.0.saturating_sub(self.notes.started))
    }

    /// Records that were overwritten: before the dump, and while it was taken.
    pub fn lost(&self) -> (u64, u64) {
        (self.notes.first, self.notes.gaps.iter().map(|gap| gap.count).sum())
    }

    /// How many records are missing right before this one, if there are any.
    pub fn missing_before(&self, index: usize) -> Option<u64> {
        let gaps = &self.notes.gaps;
        let found = gaps.binary_search_by_key(&index, |gap| gap.before).ok()?;
        gaps.get(found).map(|gap| gap.count)
    }

    /// Why it is no valid dump. Every dump that is saved or loaded passes this.
    fn check(&self) -> Result<(), &'static str> {
        let Notes { first, gaps, paths, names, about, .. } = &self.notes;
        // A file, or a store that answers, must not send control characters to the reader's terminal.
        let printable = |text: &String| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let told = about.members();
        let told = told.iter().map(|(_, text)| text).chain([&about.at]);
        if !paths.values().chain(names.values()).chain(told).all(printable) {
            return Err("a name that cannot be printed");
        }
        let lost = gaps.iter().try_fold(*first, |sum, gap| sum.checked_add(gap.count));
        if lost.is_none() || gaps.iter().any(|gap| gap.before > self.records.len()) {
            return Err("gaps where no records are");
        }
        if !gaps.is_sorted_by(|one, next| one.before < next.before) {
            return Err("gaps that are not in their order");
        }
        Ok(())
    }

    /// Writes it to a file, or to the standard output if that is `-`.
    pub fn save(&self, file: &Path) -> Result<(), Problem> {
        self.check().map_err(|wrong| Problem::new(format!("not saved: {wrong}")))?;
        let json = serde_json::to_vec(&self.notes).map_err(|error| Problem::new(error.to_string()))?;
        let mut bytes =
            format!("{NAME} {VERSION} json={} records={}\n", json.len(), self.records.len()).into_bytes();
        bytes.extend(json);
        self.records.iter().for_each(|record| bytes.extend(record.to_bytes()));
        write(file, &bytes)
    }

    /// Reads it from a file, or from the standard input if that is `-`.
    pub fn load(file: &Path) -> Result<Dump, Problem> {
        Dump::parse(file, &read(file)?)
    }

    /// Of what a file has in it.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Dump, Problem> {
        parse(bytes).map_err(|text| Problem::new(format!("{}: {text}", file.display())))
    }
}

/// A whole file, or all of the standard input if its name is `-`.
pub fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    read.map_err(|error| Problem::new(format!("{}: {error}", file.display())))
}

/// As [`Notes::paths`] has it.
pub fn hash_name(hash: u64) -> String {
    format!("{hash:016x}")
}

/// Writes a whole file, or to the standard output if its name is `-`. Its reader may stop early.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    store_client::write(file, bytes, ORDINARY).map_err(Problem::new)
}

/// Writes what was made of another file, but not over that, which nobody could take again.
pub fn write_of(source: &Path, file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    is_another(source, file)?;
    write(file, bytes)
}

/// # Errors
/// If what is to be written would take the place of what it is made of.
pub fn is_another(source: &Path, file: &Path) -> Result<(), Problem> {
    let place = |file: &Path| file.canonicalize().ok().filter(|_| file != Path::new("-"));
    if place(file).is_some_and(|file| place(source) == Some(file)) {
        return Err(Problem::mistake(format!(
            "{}: that is what it is made of; name another file",
            file.display()
        )));
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<Dump, String> {
    let foreign = || "not a dump of xs-trace".to_string();
    let (line, rest) = first_line(bytes).ok_or_else(foreign)?;
    let mut words = line.split(' ');
    if words.next() != Some(NAME) {
        return Err(foreign());
    }
    match words.next().and_then(|word| word.parse::<u32>().ok()) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("a dump of version {other}; this is for version {VERSION}")),
        None => return Err(foreign()),
    }
    let mut size = |name| words.next()?.strip_prefix(name)?.parse::<usize>().ok();
    let json = size("json=").ok_or_else(foreign)?;
    let count = size("records=").ok_or_else(foreign)?;
    let whole = count.checked_mul(Record::SIZE).and_then(|records| records.checked_add(json));
    let whole = whole.ok_or_else(foreign)?;
    if rest.len() < whole {
        return Err(format!("truncated: {} missing", plural((whole - rest.len()) as u64, "byte")));
    }
    if rest.len() > whole {
        return Err(format!("{} behind the end of the dump", plural((rest.len() - whole) as u64, "byte")));
    }
    let (json, records) = rest.split_at(json);
    let notes: Notes = serde_json::from_slice(json).map_err(|error| format!("a damaged dump: {error}"))?;
    let records = records_of(records).ok_or("a damaged dump, or one of another version of the server")?;
    let dump = Dump { notes, records };
    dump.check().map_err(|wrong| format!("a damaged dump: {wrong}"))?;
    Ok(dump)
}

fn first_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(LINE_MAX).position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

/// Records from their wire form; none if one is unknown or not whole.
pub fn records_of(bytes: &[u8]) -> Option<Vec<Record>> {
    let (records, rest) = bytes.as_chunks();
    if rest.is_empty() { records.iter().map(Record::from_bytes).collect() } else { None }
}
