//! `memreport`, `logfile` and `stats`: what memory is used for, where it is told, and what was done so far.

use core::fmt::Arguments;

use super::{finish, line, no_more};
use crate::platform::{Calls, Platform};
use crate::server::Server;
use crate::server::operations::Outcome;
use crate::server::output::Reply;
use crate::trace::Counters;
use crate::wire::{Strings, XsError};

/// The answer to whoever names a file.
const NO_FILES: &str = "This server has no files. Its log goes to its console.";

impl<P: Platform> Server<P> {
    /// Writes to the console how full each kind of storage is, and has been at most.
    pub(super) fn control_memreport(
        &mut self,
        _: &P,
        mut args: Strings<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let file = args.next();
        no_more(args)?;
        self.report_memory(&mut |text| log::info!("memory: {text}"));
        if file.is_some() {
            line(reply, format_args!("{NO_FILES}"))?;
            return finish(reply);
        }
        Ok(Outcome::Ok)
    }

    pub(super) fn control_logfile(
        &mut self,
        _: &P,
        mut args: Strings<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        args.required()?;
        no_more(args)?;
        line(reply, format_args!("{NO_FILES}"))?;
        finish(reply)
    }

    /// Counts from the start on, each a line of name and number.
    pub(super) fn control_stats(
        &mut self,
        platform: &P,
        args: Strings<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        no_more(args)?;
        let Counters { requests, events, polls } = self.counters;
        let Calls { notify, idle, wake_up, timer, other } = platform.calls();
        for (name, count) in [
            ("requests", requests),
            ("events", events),
            ("polls", polls),
            ("notify", notify),
            ("idle", idle),
            ("wake-up", wake_up),
            ("timer", timer),
            ("other-hypercalls", other),
        ] {
            line(reply, format_args!("{name:<17}: {count:>8}"))?;
        }
        finish(reply)
    }

    /// One line for each kind of storage.
    fn report_memory(&self, report: &mut dyn FnMut(Arguments<'_>)) {
        let store = &self.store;
        macro_rules! arenas {
            ($($what:literal: $arena:expr,)*) => {
                [$(($what, $arena.used(), $arena.high_water(), $arena.capacity()),)*]
            };
        }
        for (what, used, most, capacity) in arenas! {
            "nodes": store.nodes.arena(),
            "chunks": store.blobs.arena(),
            "permission lists": store.acls.table().arena(),
            "domains": store.domains.arena,
            "watches": store.watches.arena,
            "watched paths": store.watches.paths.arena(),
            "transactions": store.transactions.open.arena(),
            "transaction nodes": store.transactions.nodes.arena(),
            "waiting messages": self.outbox.messages.arena(),
        } {
            report(format_args!("{used} {what}, at most {most}, room for {capacity}"));
        }
    }
}
