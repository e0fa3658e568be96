//! `stats`: what was done so far, for people and as JSON.

use core::fmt::Write;

use super::{finish, no_more, parse};
use crate::domain::{DomainId, Usage};
use crate::platform::{Calls, Platform};
use crate::server::operations::Outcome;
use crate::server::output::Reply;
use crate::server::quotas::QUOTAS;
use crate::server::{Server, TYPES};
use crate::trace::{Counters, FIRST_STEP, Tally};
use crate::wire::{MessageType, Strings, XsError};

/// Name of the sums over all message types that do not exist, and over what no request caused.
const OTHER: &str = "other";

/// Columns of `stats domains`. The first is the domain's number, the others are what it has done and holds.
const COLUMNS: [&str; 15] = [
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
    "nodes",
    "watches",
    "transactions",
    "memory",
];

/// Room that is kept for the end of a list.
const END: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// Writes names and numbers in either form.
struct Writer<'a> {
    reply: &'a mut Reply,
    form: Form,
    /// Something precedes at this level, so JSON needs a comma.
    follows: bool,
}

impl Writer<'_> {
    fn put(&mut self, text: core::fmt::Arguments<'_>) -> Result<(), XsError> {
        self.reply.write_fmt(text).map_err(|_| XsError::E2BIG)
    }

    fn comma(&mut self) -> Result<(), XsError> {
        if self.form == Form::Json && core::mem::replace(&mut self.follows, true) {
            return self.put(format_args!(","));
        }
        Ok(())
    }

    fn number(&mut self, name: &str, value: u64) -> Result<(), XsError> {
        self.comma()?;
        match self.form {
            Form::Text => self.put(format_args!("{name:<17}: {value:>8}\n")),
            Form::Json => self.put(format_args!("\"{name}\":{value}")),
        }
    }

    /// Begins what belongs together under a name; in JSON, without one, the whole.
    fn open(&mut self, name: &str) -> Result<(), XsError> {
        self.comma()?;
        self.follows = false;
        match (self.form, name) {
            (Form::Text, "") => Ok(()),
            (Form::Text, _) => self.put(format_args!("\n{name}\n")),
            (Form::Json, "") => self.put(format_args!("{{")),
            (Form::Json, _) => self.put(format_args!("\"{name}\":{{")),
        }
    }

    fn close(&mut self) -> Result<(), XsError> {
        self.follows = true;
        if self.form == Form::Json { self.put(format_args!("}}")) } else { Ok(()) }
    }

    /// A row of a table: in JSON an object, its members named by `columns`.
    fn row(&mut self, name: &str, columns: &[&str], values: &[u64]) -> Result<(), XsError> {
        match self.form {
            Form::Text => {
                self.put(format_args!("{name:<20}"))?;
                values.iter().try_for_each(|value| self.put(format_args!(" {value:>12}")))?;
                self.put(format_args!("\n"))
            }
            Form::Json => {
                self.open(name)?;
                columns.iter().zip(values).try_for_each(|(name, value)| self.number(name, *value))?;
                self.close()
            }
        }
    }

    /// The names of a table's columns, over the rows.
    fn heading(&mut self, columns: &[&str]) -> Result<(), XsError> {
        if self.form == Form::Json {
            return Ok(());
        }
        self.put(format_args!("{:<20}", ""))?;
        columns.iter().try_for_each(|name| self.put(format_args!(" {name:>12}")))?;
        self.put(format_args!("\n"))
    }

    fn finish(self) -> Result<Outcome, XsError> {
        if self.form == Form::Json {
            self.reply.push(b"\n")?;
        }
        finish(self.reply)
    }
}

fn wide(number: u32) -> u64 {
    u64::from(number)
}

fn failed(tally: &Tally) -> u32 {
    tally.failures().fold(0, |sum, (_, count)| sum.wrapping_add(count))
}

fn type_name(index: usize) -> &'static str {
    u32::try_from(index).ok().and_then(MessageType::from_wire).map_or(OTHER, MessageType::name)
}

impl<P: Platform> Server<P> {
    /// `stats [json] [totals|<message type>|<domid>|domains [<from>]]`, from the start on. Without subject:
    /// totals, by message type, and memory.
    pub(super) fn control_stats(
        &mut self,
        platform: &P,
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
            None => self.stats_of_all(platform, &mut out, true)?,
            // Short, so that asking costs as little as a request does.
            Some(b"totals") => self.stats_of_all(platform, &mut out, false)?,
            Some(b"domains") => {
                let from = args.next().map(parse).transpose()?.unwrap_or(0);
                self.stats_of_domains(platform, from, &mut out)?;
            }
            Some(name) => match (0..TYPES).find(|index| type_name(*index).as_bytes() == name) {
                Some(index) => {
                    let tally = self.types.get(index).ok_or(XsError::EINVAL)?;
                    out.open("")?;
                    write_tally(&mut out, tally)?;
                    out.close()?;
                }
                None => {
                    let id = self.record_of(name)?;
                    self.stats_of_domain(id, &mut out)?;
                }
            },
        }
        no_more(args)?;
        out.finish()
    }

    fn stats_of_all(&self, platform: &P, out: &mut Writer<'_>, parts: bool) -> Result<(), XsError> {
        let Counters { requests, events, polls } = self.counters;
        let Calls { notify, idle, wake_up, timer, other } = platform.calls();
        out.open("")?;
        for (name, count) in [
            ("requests", requests),
            ("events", events),
            ("polls", polls),
            ("notify", notify),
            ("idle", idle),
            ("wake-up", wake_up),
            ("timer", timer),
            ("other-hypercalls", other),
            ("trace-records", self.trace.end()),
            ("trace-overwritten", self.trace.first()),
            ("khz", platform.khz()),
            ("running-ms", self.clock.0.saturating_sub(platform.started().0) / platform.khz().max(1)),
        ] {
            out.number(name, count)?;
        }
        if !parts {
            return out.close();
        }
        let columns = ["requests", "failed", "received", "sent", "cycles"];
        out.open("types")?;
        out.heading(&columns)?;
        for (index, tally) in self.types.iter().enumerate().filter(|(_, tally)| tally.requests() > 0) {
            let Tally { received, sent, cycles, .. } = *tally;
            let values = [wide(tally.requests()), wide(failed(tally)), received, sent, cycles];
            out.row(type_name(index), &columns, &values)?;
        }
        out.close()?;
        let columns = ["used", "most", "room"];
        out.open("memory")?;
        out.heading(&columns)?;
        for (what, numbers) in self.fill_levels() {
            out.row(what, &columns, &numbers.map(wide))?;
        }
        out.close()?;
        out.close()
    }

    /// A page of all domains, from the nth record on. Where more follow, the last number says from where.
    fn stats_of_domains(&self, platform: &P, from: usize, out: &mut Writer<'_>) -> Result<(), XsError> {
        out.open("")?;
        if out.form == Form::Json {
            out.number("khz", platform.khz())?;
            let clock = self.clock;
            out.number("clock", clock.0)?;
            out.put(format_args!(",\"columns\":["))?;
            for (n, name) in COLUMNS.iter().enumerate() {
                out.put(format_args!("{}\"{name}\"", if n > 0 { "," } else { "" }))?;
            }
            out.put(format_args!("],\"domains\":["))?;
        } else {
            COLUMNS.iter().try_for_each(|name| out.put(format_args!("{name:>12} ")))?;
            out.put(format_args!("\n"))?;
        }
        let capacity = self.store.domains.arena.capacity() as usize;
        let mut next = 0;
        let mut first = true;
        for slot in from..capacity {
            let Some(id) = self.store.domains.at(slot) else { continue };
            let start = out.reply.len();
            let row = self.domain_row(id);
            let written = match out.form {
                Form::Json => row.iter().enumerate().try_for_each(|(n, value)| {
                    let before = match (n, first) {
                        (0, true) => "[",
                        (0, false) => ",[",
                        _ => ",",
                    };
                    out.put(format_args!("{before}{value}"))
                }),
                Form::Text => row.iter().try_for_each(|value| out.put(format_args!("{value:>12} "))),
            };
            let end = if out.form == Form::Json { "]" } else { "\n" };
            let fits = written.and_then(|()| out.put(format_args!("{end}"))).is_ok();
            if !fits || out.reply.len() + END > crate::wire::PAYLOAD_MAX {
                out.reply.truncate(start);
                next = slot;
                break;
            }
            first = false;
        }
        if out.form == Form::Json {
            out.put(format_args!("]"))?;
        }
        if next > 0 {
            out.number("next", next as u64)?;
        }
        out.close()
    }

    /// The local clients that act for a domain, which only the privileged one has.
    fn clients_of(&self, id: DomainId) -> impl Iterator<Item = DomainId> {
        let has_some = self.store.domains.privileged() == Some(id);
        has_some.then(|| self.store.domains.clients()).into_iter().flatten()
    }

    /// What a domain has done, its clients included.
    fn done_by(&self, id: DomainId) -> Tally {
        let tally = |id: DomainId| self.tallies.get(id.index()).copied().unwrap_or(Tally::EMPTY);
        self.clients_of(id).fold(tally(id), |mut sum, client| {
            sum.absorb(&tally(client));
            sum
        })
    }

    fn domain_row(&self, id: DomainId) -> [u64; COLUMNS.len()] {
        let domain = self.store.domains.get(id);
        let mut usage = domain.usage;
        for client in self.clients_of(id) {
            let Usage { nodes, watches, transactions, memory, .. } = self.store.domains.get(client).usage;
            usage.nodes = usage.nodes.wrapping_add(nodes);
            usage.watches = usage.watches.wrapping_add(watches);
            usage.transactions = usage.transactions.wrapping_add(transactions);
            usage.memory = usage.memory.wrapping_add(memory);
        }
        let tally = self.done_by(id);
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
            wide(usage.nodes),
            wide(usage.watches),
            wide(usage.transactions),
            wide(usage.memory),
        ]
    }

    fn stats_of_domain(&self, id: DomainId, out: &mut Writer<'_>) -> Result<(), XsError> {
        let domain = self.store.domains.get(id);
        out.open("")?;
        out.number("domid", u64::from(domain.domid.0))?;
        write_tally(out, &self.done_by(id))?;
        let now = domain.usage.as_quotas();
        let peak = domain.peak.max(now);
        let columns = ["held", "most", "quota"];
        out.open("quotas")?;
        out.heading(&columns)?;
        for quota in &QUOTAS {
            let values = [&now, &peak, &domain.quotas].map(|quotas| wide((quota.get)(quotas)));
            out.row(quota.name, &columns, &values)?;
        }
        out.close()?;
        out.close()
    }
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
