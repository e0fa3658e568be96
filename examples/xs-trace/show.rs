//! Records as text, one line each.

use std::io::{self, BufWriter, ErrorKind, Write};

use xenstore::trace::{Kind, Record, Stall};
use xenstore::wire::{MessageType, XsError};

use crate::dump::Dump;
use store_client::Problem;

/// Which records are shown. Of each list one must fit, unless it is empty.
#[derive(Default)]
pub struct Filter {
    /// Numbers or names.
    pub domains: Vec<String>,
    /// What is no request's has none.
    pub types: Vec<MessageType>,
    pub kinds: Vec<Kind>,
    pub errors: Vec<XsError>,
    /// Beginnings of paths.
    pub paths: Vec<String>,
    /// Seconds from the server's start on.
    pub from: Option<f64>,
    pub to: Option<f64>,
}

/// Whether one of the list fits, or it is empty.
fn any<T>(list: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

impl Filter {
    fn lets_pass(&self, dump: &Dump, record: &Record) -> bool {
        let Record { domid, kind, .. } = *record;
        let typed = matches!(kind, Kind::Begun | Kind::Ended | Kind::Refused);
        let seconds = dump.since_start(record.time) as f64 / 1e9;
        let name = dump.notes.names.get(&domid.0);
        any(&self.domains, |domain| *domain == domid.to_string() || Some(domain) == name)
            && any(&self.types, |wanted| typed && *wanted as u32 == u32::from(record.msg_type))
            && any(&self.kinds, |wanted| *wanted == kind)
            && any(&self.errors, |error| Some(*error) == record.error)
            && any(&self.paths, |path| dump.path(record.hash).starts_with(path.as_str()))
            && self.from.is_none_or(|from| seconds >= from)
            && self.to.is_none_or(|to| seconds <= to)
    }
}

/// Shows the records that pass, on the standard output.
pub fn show(dump: &Dump, filter: &Filter) -> Result<(), Problem> {
    match write(dump, filter, &mut BufWriter::new(io::stdout().lock())) {
        // The reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Problem::new(format!("standard output: {error}"))),
    }
}

fn write(dump: &Dump, filter: &Filter, out: &mut impl Write) -> io::Result<()> {
    for (n, record) in dump.records.iter().enumerate() {
        if let Some(count) = dump.missing_before(n) {
            writeln!(out, "{:>14} {count} records were lost here", "")?;
        }
        if filter.lets_pass(dump, record) {
            let time = dump.since_start(record.time) / 1000;
            let (seconds, micros) = (time / 1_000_000, time % 1_000_000);
            let (domain, what, path) =
                (dump.domain(record.domid), what(dump, record), dump.path(record.hash));
            let line = format!("{seconds:>7}.{micros:06} {domain:<16} {what:<44} {path}");
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    out.flush()
}

/// The text of a record, with its times in microseconds.
pub fn what(dump: &Dump, record: &Record) -> String {
    let Record { domid, kind, tx, amount, size, .. } = *record;
    let micros = dump.micros(amount);
    match kind {
        Kind::Ended => {
            let end = record.error.map_or("ok", XsError::name);
            format!("{} tx {} {end}, {micros:.1} us, {size} bytes", record.type_name(), tx.0)
        }
        Kind::WokeUp => {
            let more = if amount == u32::MAX { "more than " } else { "" };
            format!("woke-up after {more}{micros:.1} us")
        }
        Kind::Stalled if amount > 0 => {
            let why = Stall::from_wire(record.detail).map_or("?", Stall::name);
            format!("stalled: {why}, {micros:.1} us")
        }
        _ => {
            let text = record.to_string();
            text.strip_prefix(&format!("d{domid} ")).unwrap_or(&text).to_string()
        }
    }
}
