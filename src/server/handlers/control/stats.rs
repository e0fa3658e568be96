//! `stats`: what the server has done so far, as text and as JSON.

use core::fmt::Write;

use super::answer::{no_more, parse};
use super::report::fill_levels;
use super::writer::{Form, NAME, WIDTH, Writer};
use crate::layers::{Fault, Trouble};
use crate::platform::{Calls, Platform};
use crate::quota::QUOTAS;
use crate::server::context::{Context, Outcome};
use crate::server::core::Core;
use crate::server::scratch::Reply;
use crate::store::{DomainId, Layer, Usage};
use crate::trace::{Case, Counters, FIRST_STEP, TYPES, Tally};
use crate::wire::{MessageType, Strings, XsError};

/// Name of the sums over all unknown message types and over what no request caused; and of those over the one unused
/// number between types.
const OTHER: &str = "other";
const UNASSIGNED: &str = "unassigned";

/// Columns of `stats domains`: first the domid, then what the domain has done and holds.
const COLUMNS: [&str; 17] = [
    "domid",
    "requests",
    "failed",
    "received",
    "sent",
    "cycles",
    "events",
    "dropped",
    "conflicts",
    "refused",
    "stalls",
    "missed",
    "throttled",
    "nodes",
    "watches",
    "transactions",
    "memory",
];

/// Columns of the tables of message types and of memory.
const TYPE_COLUMNS: [&str; 5] = ["requests", "failed", "received", "sent", "cycles"];
const LEVEL_COLUMNS: [&str; 3] = ["used", "most", "room"];

/// Width in text of the values of `stats domains`.
const WIDE: usize = 12;

/// Domains of `stats domains` in one answer, for which others wait.
const ROWS: usize = 24;

/// Bytes that are kept for the end of a list.
const END: usize = 64;

fn wide(number: u32) -> u64 {
    u64::from(number)
}

fn failed(tally: &Tally) -> u32 {
    tally.failures().fold(0, |sum, (_, count)| sum.wrapping_add(count))
}

fn type_name(index: usize) -> &'static str {
    let none = if index == TYPES - 1 { OTHER } else { UNASSIGNED };
    u32::try_from(index).ok().and_then(MessageType::from_wire).map_or(none, MessageType::name)
}

/// `stats [json] [totals|<message type>|<domid>|domains [<from>]|refused]`, since the start. Without a
/// subject: totals, message types and memory.
pub fn stats<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut subject = args.next();
    let form = if subject == Some(b"json") { Form::Json } else { Form::Text };
    if form == Form::Json {
        subject = args.next();
    }
    let mut out = Writer { reply, form, follows: false };
    match subject {
        None => stats_of_all(cx, &mut out, true)?,
        Some(b"") => return Err(XsError::EINVAL),
        // Short, so that it costs as little as other requests.
        Some(b"totals") => stats_of_all(cx, &mut out, false)?,
        Some(b"domains") => {
            let from = args.next().map(parse).transpose()?.unwrap_or(0);
            stats_of_domains(cx, from, &mut out)?;
        }
        Some(b"refused") => stats_of_refusals(cx.core, &mut out)?,
        Some(name) => match (0..TYPES).find(|index| type_name(*index).as_bytes() == name) {
            Some(index) => {
                let tally = cx.core.recorder.types().get(index).ok_or(XsError::EINVAL)?;
                out.open("")?;
                write_tally(&mut out, tally)?;
                out.close()?;
            }
            None => {
                let id = cx.core.record_of(name)?;
                stats_of_domain(cx.core, id, &mut out)?;
            }
        },
    }
    no_more(args)?;
    out.finish()
}

fn stats_of_all<P: Platform>(cx: &Context<'_, P>, out: &mut Writer<'_>, parts: bool) -> Result<(), XsError> {
    let Counters { requests, events, polls, looks, missed, restarts, growths, growth_refusals } =
        cx.core.recorder.counters;
    let memory = cx.platform.memory();
    let Calls { notify, idle, wake_up, timer, other } = cx.platform.calls();
    out.open("")?;
    if parts {
        out.version(cx.platform.build())?;
    }
    write_totals(
        out,
        &[
            ("requests", requests),
            ("events", events),
            ("polls", polls),
            ("looks", looks),
            ("missed-events", missed),
            ("restarts", restarts),
            ("notify", notify),
            ("idle", idle),
            ("wake-up", wake_up),
            ("timer", timer),
            ("other-hypercalls", other),
            ("trace-on", cx.core.store.trace.is_on().into()),
            ("trace-records", cx.core.store.trace.end()),
            ("trace-overwritten", cx.core.store.trace.first()),
            ("updates", cx.core.updates.count),
            ("update-us", cx.core.updates.microseconds),
            ("ram-kib", memory / 1024),
            ("ram-limit-kib", memory.max(cx.core.growth.limit) / 1024),
            ("growths", growths.into()),
            ("growth-refused", growth_refusals.into()),
            ("khz", cx.platform.khz()),
            (
                "running-ms",
                cx.core.clock.latest.0.saturating_sub(cx.platform.started().0) / cx.platform.khz().max(1),
            ),
        ],
    )?;
    if parts {
        write_parts(out, cx.core.recorder.types(), fill_levels(cx))?;
        write_layers(out, &cx.core.store.origins.layers)?;
    }
    out.close()
}

/// A page of all domains, from the nth record on. If more follow, the last number is the record to go on from.
fn stats_of_domains<P: Platform>(
    cx: &Context<'_, P>,
    from: usize,
    out: &mut Writer<'_>,
) -> Result<(), XsError> {
    out.open("")?;
    if out.form == Form::Json {
        out.number("khz", cx.platform.khz())?;
        let clock = cx.core.clock.latest;
        out.number("clock", clock.0)?;
    }
    out.heading(0, WIDE, &COLUMNS)?;
    if out.form == Form::Json {
        out.put(format_args!(",\"domains\":["))?;
    }
    let mut next = 0;
    for (rows, (id, _)) in cx.core.store.domains.known_from(from).enumerate() {
        let start = out.reply.len();
        let row = domain_row(cx.core, id);
        let comma = if out.form == Form::Json && rows > 0 { "," } else { "" };
        let written = out.put(format_args!("{comma}")).and_then(|()| out.values(WIDE, &row));
        let fits = written.and_then(|()| out.end_line()).is_ok();
        if rows == ROWS || !fits || out.reply.len() + END > crate::wire::PAYLOAD_MAX {
            out.reply.truncate(start);
            next = id.index();
            break;
        }
    }
    if out.form == Form::Json {
        out.put(format_args!("]"))?;
    }
    if next > 0 {
        out.number("next", next as u64)?;
    }
    out.close()
}

/// The latest cases of refused requests. A path has neither quotation marks nor backslashes.
fn stats_of_refusals(core: &Core, out: &mut Writer<'_>) -> Result<(), XsError> {
    out.open("")?;
    if out.form == Form::Json {
        out.put(format_args!("\"refused\":["))?;
    }
    for Case { times, last, path } in core.recorder.refusals.cases() {
        match out.form {
            Form::Text => out.put(format_args!("{times} times: {last} {path}\n"))?,
            Form::Json => {
                let (domid, limit, msg_type) = (last.domid, last.amount, last.type_name());
                let (quota, error) = (last.quota().unwrap_or(""), last.error.map_or("?", XsError::name));
                out.comma()?;
                out.put(format_args!(
                    "{{\"domid\":{domid},\"quota\":\"{quota}\",\"limit\":{limit},\"times\":{times},\
                     \"type\":\"{msg_type}\",\"error\":\"{error}\",\"path\":\"{path}\"}}"
                ))?;
            }
        }
    }
    if out.form == Form::Json {
        out.put(format_args!("]"))?;
    }
    out.close()
}

/// The local clients that act as a domain. Only the privileged one has any.
fn clients_of(core: &Core, id: DomainId) -> impl Iterator<Item = DomainId> {
    let has_some = core.store.domains.privileged() == Some(id);
    has_some.then(|| core.store.domains.clients()).into_iter().flatten()
}

/// What a domain has done, its clients included.
fn done_by(core: &Core, id: DomainId) -> Tally {
    let tally = |id: DomainId| core.recorder.domain(id.index()).copied().unwrap_or(Tally::EMPTY);
    clients_of(core, id).fold(tally(id), |mut sum, client| {
        sum.absorb(&tally(client));
        sum
    })
}

fn domain_row(core: &Core, id: DomainId) -> [u64; COLUMNS.len()] {
    let domain = core.store.domains.get(id);
    let mut usage = core.store.held.of(id).usage;
    for client in clients_of(core, id) {
        let Usage { nodes, watches, transactions, memory, .. } = core.store.held.of(client).usage;
        usage.nodes = usage.nodes.wrapping_add(nodes);
        usage.watches = usage.watches.wrapping_add(watches);
        usage.transactions = usage.transactions.wrapping_add(transactions);
        usage.memory = usage.memory.wrapping_add(memory);
    }
    let tally = done_by(core, id);
    [
        u64::from(domain.domid.0),
        wide(tally.requests()),
        wide(failed(&tally)),
        tally.received,
        tally.sent,
        tally.cycles,
        wide(tally.events),
        wide(tally.dropped),
        wide(tally.conflicts),
        wide(tally.refused),
        wide(tally.stalls),
        wide(tally.missed),
        wide(tally.throttled),
        wide(usage.nodes),
        wide(usage.watches),
        wide(usage.transactions),
        wide(usage.memory),
    ]
}

fn stats_of_domain(core: &Core, id: DomainId, out: &mut Writer<'_>) -> Result<(), XsError> {
    let domain = core.store.domains.get(id);
    out.open("")?;
    out.number("domid", u64::from(domain.domid.0))?;
    write_tally(out, &done_by(core, id))?;
    let (now, peak) = (core.store.held.of(id).usage.as_quotas(), core.store.most(id));
    out.open("quotas")?;
    out.heading(NAME, WIDTH, &["held", "most", "quota"])?;
    for quota in QUOTAS {
        let values = [&now, &peak, &domain.quotas].map(|quotas| wide((quota.get)(quotas)));
        out.row(quota.name, &values)?;
    }
    out.close()?;
    out.close()
}

fn write_totals(out: &mut Writer<'_>, totals: &[(&str, u64)]) -> Result<(), XsError> {
    totals.iter().try_for_each(|(name, count)| out.number(name, *count))
}

/// The sums of all message types that have been sent, and how full the memory is.
fn write_parts(
    out: &mut Writer<'_>,
    types: &[Tally],
    levels: impl IntoIterator<Item = (&'static str, [u32; 3])>,
) -> Result<(), XsError> {
    out.open("types")?;
    out.heading(NAME, WIDTH, &TYPE_COLUMNS)?;
    for (index, tally) in types.iter().enumerate().filter(|(_, tally)| tally.requests() > 0) {
        let Tally { received, sent, cycles, .. } = *tally;
        let values = [wide(tally.requests()), wide(failed(tally)), received, sent, cycles];
        out.row(type_name(index), &values)?;
    }
    out.close()?;
    out.open("memory")?;
    out.heading(NAME, WIDTH, &LEVEL_COLUMNS)?;
    levels.into_iter().try_for_each(|(what, numbers)| out.row(what, &numbers.map(wide)))?;
    out.close()
}

/// The layers that the store has been given, as many as there is room for, and how many more there are.
#[cold]
#[inline(never)]
fn write_layers(out: &mut Writer<'_>, layers: &[Layer]) -> Result<(), XsError> {
    // Beside the largest numbers there is not even room to say how many there are; `layers` says it.
    if layers.is_empty() || out.reply.len() + 4 * END > crate::wire::PAYLOAD_MAX {
        return Ok(());
    }
    out.open("layers")?;
    out.heading(NAME, WIDTH, &["nodes", "removals"])?;
    for (n, layer) in layers.iter().enumerate() {
        let start = out.reply.len();
        // One without a name is a whole file.
        let name = core::str::from_utf8(&layer.name).ok().filter(|name| !name.is_empty()).unwrap_or("all");
        let (fault, line, column) = layer.left_out;
        let written = match Fault::from_number(fault) {
            None => out.row(name, &[wide(layer.nodes), wide(layer.removals)]),
            Some(fault) => out.reason(name, format_args!("left out: {}", Trouble { fault, line, column })),
        };
        if written.is_err() || out.reply.len() + END > crate::wire::PAYLOAD_MAX {
            out.reply.truncate(start);
            out.row("and more", &[(layers.len() - n) as u64])?;
            break;
        }
    }
    out.close()
}

/// All of a tally. The histogram's steps are named by their upper ends in cycles, powers of two.
fn write_tally(out: &mut Writer<'_>, tally: &Tally) -> Result<(), XsError> {
    for (name, count) in [
        ("requests", wide(tally.requests())),
        ("received", tally.received),
        ("sent", tally.sent),
        ("cycles", tally.cycles),
        ("events", wide(tally.events)),
        ("dropped", wide(tally.dropped)),
        ("conflicts", wide(tally.conflicts)),
        ("refused", wide(tally.refused)),
        ("stalls", wide(tally.stalls)),
        ("missed-events", wide(tally.missed)),
        ("throttled", wide(tally.throttled)),
    ] {
        out.number(name, count)?;
    }
    out.open("errors")?;
    tally.failures().try_for_each(|(error, count)| out.number(error.name(), wide(count)))?;
    out.close()?;
    out.open("below-cycles")?;
    for (n, count) in tally.times.iter().enumerate() {
        let mut name = heapless::String::<20>::new();
        let last = n + 1 == tally.times.len();
        let written =
            if last { write!(name, "more") } else { write!(name, "{}", 1_u64 << (FIRST_STEP + n as u32)) };
        written.map_err(|_| XsError::EIO)?;
        out.number(&name, wide(*count))?;
    }
    out.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LAYERS_MAX;

    #[test]
    fn the_largest_numbers_fit_an_answer() {
        // All types together have no more cycles than there were, and fewer bytes than cycles.
        let most = u64::MAX / TYPES as u64;
        let mut tally = Tally { received: most, sent: most, cycles: most, ..Tally::EMPTY };
        (tally.times[0], tally.errors[0]) = (u32::MAX, u32::MAX);
        let layers: [Layer; LAYERS_MAX] = core::array::from_fn(|_| Layer {
            left_out: (Fault::BadEscape.number(), u32::MAX, u32::MAX),
            ..Layer::default()
        });
        for form in [Form::Text, Form::Json] {
            let mut reply = Reply::EMPTY;
            let mut out = Writer { reply: &mut reply, form, follows: false };
            let written = out
                .open("")
                .and_then(|()| out.version(&[0; 20]))
                // The longest names and lists. What is counted takes hundreds of cycles each time, of which there are
                // as many as 64 bits can count; six of the totals count what is rare, or little.
                .and_then(|()| write_totals(&mut out, &[("trace-overwritten", u64::MAX / 256); 12]))
                .and_then(|()| write_totals(&mut out, &[("trace-overwritten", 99_999_999); 6]))
                .and_then(|()| {
                    write_parts(&mut out, &[tally; TYPES], [("transaction nodes", [u32::MAX; 3]); 9])
                })
                .and_then(|()| write_layers(&mut out, &layers))
                .and_then(|()| out.close())
                .and_then(|()| out.finish());
            assert!(written.is_ok(), "{} bytes", reply.len());
        }
    }
}
