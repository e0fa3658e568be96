//! Converts Xen's log, which contains the store's, to a recording. Nothing may be missing: records are numbered, and
//! each line of a message says how many bytes are left.

use std::collections::{BTreeMap, BTreeSet};

use xenstore::wire::MessageType;

use support::lives::{Request, Step, Template, Who, kind_named, unescape};

/// One record of the store's trace.
#[derive(Default)]
struct Record {
    number: u64,
    domid: u16,
    what: What,
    request: Message,
    answer: Message,
}

#[derive(Default)]
enum What {
    Request {
        kind: MessageType,
        tx: u32,
        error: Option<String>,
    },
    Released,
    /// No request of a client.
    #[default]
    Other,
}

/// A message as far as it was read.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
    /// Bytes that are still to come.
    left: usize,
}

enum Entry {
    Record(Record),
    /// Where a part of the log begins.
    Mark(String),
}

/// The text of the recording that a log holds, less its head.
pub fn convert(log: &str) -> Result<String, String> {
    let entries = read(log)?;
    let position = |name: &str| {
        let found = entries.iter().position(|entry| matches!(entry, Entry::Mark(mark) if mark == name));
        found.ok_or(format!("the log has no mark \"{name}\""))
    };
    let [host, start, stop, end] =
        [position("host")?, position("start")?, position("stop")?, position("end")?];
    let records = |range: std::ops::Range<usize>| {
        let part = entries.get(range).unwrap_or_default().iter();
        part.filter_map(|entry| if let Entry::Record(record) = entry { Some(record) } else { None })
    };
    let introduced = records(start..stop).find(|record| record.is(MessageType::Introduce));
    let domid = introduced.ok_or("no guest was introduced")?.request.bytes.split(|byte| *byte == 0);
    let domid = domid.into_iter().next().unwrap_or_default().to_vec();
    let uuid = records(start..stop).find_map(|record| record.request.bytes.strip_prefix(b"/vm/")?.get(..36));
    let uuid = uuid.ok_or("the guest has no UUID")?;

    let mut text = String::new();
    for (name, range) in [("host", 0..host), ("start", start..stop), ("stop", stop..end)] {
        text += &format!("== {name}\n");
        if name == "start" {
            text += &format!("{}\n", Step::Made);
        }
        let records: Vec<&Record> = records(range).collect();
        for step in steps(&records, &domid, uuid)? {
            text += &format!("{step}\n");
        }
    }
    Ok(text)
}

/// The records and marks of a log, checked to be complete.
fn read(log: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut record: Option<Record> = None;
    let mut next_number = None;
    for line in log.lines() {
        // `(d1) SECONDS LEVEL TEXT`
        let Some(text) = line.split_once("(d1) ").and_then(|(_, line)| line.splitn(3, ' ').nth(2)) else {
            continue;
        };
        let missing = || format!("a part of the log is missing before: {line}");
        let at = |problem: String| format!("{problem}: {line}");
        if let Some((number, rest)) = numbered(text) {
            record
                .as_mut()
                .filter(|record| record.number == number)
                .ok_or_else(missing)?
                .add(rest)
                .map_err(at)?;
            continue;
        }
        let mark = text.strip_prefix("control: recording: ");
        let begun = text.split_once(' ').and_then(|(_, text)| numbered(text));
        if mark.is_none() && begun.is_none() {
            continue;
        }
        if let Some(record) = record.take() {
            if !record.is_complete() {
                return Err(missing());
            }
            entries.push(Entry::Record(record));
        }
        entries.extend(mark.map(|name| Entry::Mark(name.to_string())));
        if let Some((number, rest)) = begun {
            if next_number.is_some_and(|next| next != number) {
                return Err(missing());
            }
            next_number = Some(number + 1);
            record = Some(Record::parse(number, rest).map_err(at)?);
        }
    }
    entries.extend(record.map(Entry::Record));
    Ok(entries)
}

/// `#NUMBER REST`
fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.strip_prefix('#')?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

impl Record {
    /// `dDOMID WHAT`
    fn parse(number: u64, text: &str) -> Result<Record, String> {
        let (domid, what) = text.split_once(' ').ok_or("no record")?;
        let domid = domid.strip_prefix('d').and_then(|domid| domid.parse().ok()).ok_or("no domid")?;
        let words: Vec<&str> = what.trim_end_matches(" bytes").split([' ', ',']).collect();
        let what = match words[..] {
            [kind, "tx", tx, result, ..] => What::Request {
                kind: kind_named(kind).ok_or("no request is called so")?,
                tx: tx.parse().map_err(|_| "no transaction")?,
                error: (result != "ok").then(|| result.to_string()),
            },
            ["released"] => What::Released,
            ["introduced", ..] | ["event", ..] => What::Other,
            _ => return Err("this must not happen in a recording".to_string()),
        };
        Ok(Record { number, domid, what, ..Record::default() })
    }

    /// `<LEFT BYTES` or `>LEFT BYTES`
    fn add(&mut self, text: &str) -> Result<(), String> {
        let message = match text.as_bytes().first() {
            Some(b'<') => &mut self.request,
            Some(b'>') => &mut self.answer,
            _ => return Err("neither request nor answer".to_string()),
        };
        let (left, mut text) = text[1..].split_once(' ').ok_or("no bytes")?;
        let left: usize = left.parse().map_err(|_| "no number of bytes")?;
        if message.left != left && !message.bytes.is_empty() {
            return Err("a piece of a message is missing".to_string());
        }
        let before = message.bytes.len();
        while !text.is_empty() {
            message.bytes.push(unescape(&mut text)?);
        }
        let taken = message.bytes.len() - before;
        message.left = left.checked_sub(taken).ok_or("too many bytes")?;
        Ok(())
    }

    /// Whether nothing of it is missing, as far as that can be known. No request is empty.
    fn is_complete(&self) -> bool {
        let read = self.request.left == 0 && self.answer.left == 0;
        let What::Request { kind, error, .. } = &self.what else { return read };
        let opens = *kind == MessageType::TransactionStart && error.is_none();
        read && !self.request.bytes.is_empty() && !(opens && self.answer.bytes.is_empty())
    }

    fn is(&self, wanted: MessageType) -> bool {
        matches!(&self.what, What::Request { kind, .. } if *kind == wanted)
    }

    /// The client's own name of the transaction that the record is about: named, or opened.
    fn tx(&self) -> Option<(u16, u32)> {
        let What::Request { kind, tx, error } = &self.what else { return None };
        let opened = *kind == MessageType::TransactionStart && error.is_none();
        let answer = std::str::from_utf8(&self.answer.bytes).ok();
        let id = if opened { answer?.trim_end_matches('\0').parse().ok()? } else { *tx };
        (id != 0).then_some((self.domid, id))
    }
}

/// What of the records is the guest's life: without what the script itself asked, and without transactions that
/// had to be done again.
fn steps(records: &[&Record], domid: &[u8], uuid: &[u8]) -> Result<Vec<Step>, String> {
    let again = |record: &&Record| matches!(&record.what, What::Request { error: Some(error), .. } if error == "EAGAIN");
    let again: BTreeSet<_> = records.iter().copied().filter(again).filter_map(Record::tx).collect();
    let mut numbers = BTreeMap::new();
    let mut steps = Vec::new();
    for record in records {
        let (kind, error) = match &record.what {
            What::Released => {
                steps.push(Step::Gone);
                continue;
            }
            What::Request { kind, error, .. } if *kind != MessageType::Control => (*kind, error.clone()),
            What::Request { .. } | What::Other => continue,
        };
        let tx = record.tx();
        if tx.is_some_and(|tx| again.contains(&tx)) {
            continue;
        }
        let who = match record.domid {
            0 => Who::Dom0,
            guest if guest.to_string().as_bytes() == domid => Who::Guest,
            other => return Err(format!("domain {other} was at work, too")),
        };
        let next = numbers.len();
        let tx = tx.map(|tx| *numbers.entry(tx).or_insert(next));
        let payload = Template::of_guest(&record.request.bytes, domid, uuid);
        steps.push(Step::Request(Request { who, kind, tx, error, payload }));
    }
    Ok(steps)
}
