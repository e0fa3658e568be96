//! Records as text, one line each.

use std::io::{self, BufWriter, ErrorKind, Write};

use serde_json::{Value, json};
use xenstore::abi::DomId;
use xenstore::trace::{Kind, Record, Stall};
use xenstore::wire::XsError;

use crate::dump::Dump;
use crate::filter::Chosen;
use store_client::{Problem, plural, tell};

/// Shows the records that pass, on the standard output, as text or as JSON, and says if there are none.
pub fn show(dump: &Dump, chosen: &Chosen<'_>, json: bool) -> Result<(), Problem> {
    if print(dump, chosen, json)? == Some(0) && !dump.records.is_empty() {
        tell(format_args!("xs-trace: none of the {} records passes the filters", dump.records.len()));
    }
    Ok(())
}

/// Shows them. How many they are; none if the reader has seen enough.
pub fn print(dump: &Dump, chosen: &Chosen<'_>, json: bool) -> Result<Option<usize>, Problem> {
    match write(dump, chosen, json, &mut BufWriter::new(io::stdout().lock())) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
        written => written.map(Some).map_err(|error| Problem::new(format!("standard output: {error}"))),
    }
}

fn write(dump: &Dump, chosen: &Chosen<'_>, json: bool, out: &mut impl Write) -> io::Result<usize> {
    let mut shown = 0;
    // The last ones may be lost, too.
    for n in 0..=dump.records.len() {
        match dump.missing_before(n) {
            Some(count) if json => writeln!(out, "{}", json!({ "lost": count }))?,
            Some(count) => writeln!(out, "{:>14} {} lost here", "", plural(count, "record"))?,
            None => {}
        }
        let Some(record) = dump.records.get(n) else { break };
        if !chosen.lets_pass(record) {
            continue;
        }
        shown += 1;
        if json {
            writeln!(out, "{}", object(dump, record))?;
            continue;
        }
        let time = dump.since_start(record.time) / 1000;
        let (seconds, micros) = (time / 1_000_000, time % 1_000_000);
        let (domain, what, path) = (dump.domain(record.domid), what(dump, record), dump.path(record.hash));
        let line = format!("{seconds:>7}.{micros:06} {domain:<16} {what:<44} {path}");
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()?;
    Ok(shown)
}

/// A record's members. Those that mean nothing for its kind are not there.
fn object(dump: &Dump, record: &Record) -> Value {
    let mut object = json!({
        "seconds": dump.since_start(record.time) as f64 / 1e9,
        "kind": record.kind.name(),
        "what": what(dump, record),
    });
    let mut member = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object[name] = value;
        }
    };
    let typed = matches!(record.kind, Kind::Begun | Kind::Ended | Kind::Refused);
    let domid = record.domid;
    member("domid", (domid != DomId::INVALID).then(|| domid.0.into()));
    member("domain", dump.notes.names.get(&domid.0).map(|name| name.clone().into()));
    member("type", typed.then(|| record.type_name().into()));
    member("tx", (record.tx.0 != 0).then(|| record.tx.0.into()));
    member("error", record.error.map(|error| error.name().into()));
    member("quota", record.quota().filter(|_| record.kind == Kind::Refused).map(Value::from));
    member("microseconds", (record.kind == Kind::Ended).then(|| dump.micros(record.amount).into()));
    member("bytes", (record.size != 0).then(|| record.size.into()));
    member("path", (record.hash != 0).then(|| dump.path(record.hash).into()));
    object
}

/// The text of a record, with its times in microseconds.
pub fn what(dump: &Dump, record: &Record) -> String {
    let Record { domid, kind, tx, amount, size, .. } = *record;
    let micros = dump.micros(amount);
    match kind {
        Kind::Ended => {
            let end = record.error.map_or("ok", XsError::name);
            format!("{} tx {} {end}, {micros:.1} µs, {size} bytes", record.type_name(), tx.0)
        }
        Kind::WokeUp => {
            let more = if amount == u32::MAX { "more than " } else { "" };
            format!("woke-up after {more}{micros:.1} µs")
        }
        Kind::Stalled if amount > 0 => {
            let why = Stall::from_wire(record.detail).map_or("?", Stall::name);
            format!("stalled: {why}, {micros:.1} µs")
        }
        _ => {
            let text = record.to_string();
            text.strip_prefix(&format!("d{domid} ")).unwrap_or(&text).to_string()
        }
    }
}
