//! The guest's life: rounds of one role, counted and told, up to one of its ends.

use core::fmt::Write;

use heapless::String;
use xenstore::abi::DomId;
use xenstore::client::{Answer, Failure};

use crate::Client;
use crate::image::console;
use crate::image::fatal::{self, Reason};
use crate::options::Options;
use crate::random::Random;

const SECOND: u64 = 1_000_000_000;

pub struct Role {
    pub name: &'static str,
    /// One round.
    pub round: fn(&mut Guest) -> Answer<()>,
}

/// How often what happened.
#[derive(Default)]
pub struct Counts {
    pub rounds: u32,
    /// Answers that were errors.
    pub refused: u32,
    /// Requests without an answer.
    pub silent: u32,
    /// Answers that are not what they must be.
    pub wrong: u32,
}

pub struct Guest {
    pub client: Client,
    role: &'static Role,
    pub options: Options,
    pub random: Random,
    pub counts: Counts,
    /// Events that must come in all, where a role knows.
    pub events_due: u32,
    /// What `data/load` must hold.
    pub last_written: u32,
    pub domid: DomId,
    born: u64,
    told: u64,
}

impl Guest {
    pub fn new(client: Client, domid: DomId, role: &'static Role, options: Options) -> Guest {
        let now = client.now();
        let random = Random::new(now ^ u64::from(domid.0) << 40);
        let counts = Counts::default();
        Guest {
            client,
            role,
            options,
            random,
            counts,
            events_due: 0,
            last_written: 0,
            domid,
            born: now,
            told: now,
        }
    }

    /// Its whole life.
    pub fn live(mut self) -> ! {
        if let Err(failure) = self.greet() {
            fatal::stop(Reason::Crash, format_args!("the store does not take a greeting: {failure}"));
        }
        self.report("began");
        while !self.is_over() {
            match (self.role.round)(&mut self) {
                Ok(()) => {}
                Err(Failure::Refused(_)) => self.counts.refused += 1,
                Err(Failure::Silent) => self.counts.silent += 1,
            }
            self.counts.rounds = self.counts.rounds.wrapping_add(1);
            self.keep_pace();
            if self.client.now() - self.told >= SECOND {
                self.report("at");
                self.told = self.client.now();
            }
        }
        // Events that are due and such as are not may still be under way.
        let now = self.client.now();
        self.client.listen(now + SECOND / 10);
        self.client.listen_for(self.events_due, now + 10 * SECOND);
        self.report("ended");
        while self.options.stay && !self.client.is_to_stop() {
            self.client.listen(self.client.now() + SECOND);
        }
        let reason = if self.client.reboots { Reason::Reboot } else { Reason::PowerOff };
        fatal::stop(reason, format_args!("{}: bye", self.role.name))
    }

    /// What every guest begins with, so that dom0 can see that it is there.
    fn greet(&mut self) -> Answer<()> {
        self.client.watch_shutdown()?;
        let mut words = String::<64>::new();
        // Too long for no role's name.
        let _ = write!(words, "{} from domain {}", self.role.name, self.domid);
        self.client.write(b"data/hello", words.as_bytes())
    }

    fn is_over(&mut self) -> bool {
        let Options { seconds, rounds, .. } = self.options;
        let age = (self.client.now() - self.born) / SECOND;
        rounds != 0 && self.counts.rounds >= rounds
            || seconds != 0 && age >= u64::from(seconds)
            || self.client.is_to_stop()
    }

    fn keep_pace(&mut self) {
        if self.options.rate != 0 {
            let due = self.born + u64::from(self.counts.rounds) * SECOND / u64::from(self.options.rate);
            while self.client.now() < due && !self.client.is_to_stop() {
                self.client.listen(due);
            }
        }
    }

    fn report(&self, what: &str) {
        let Counts { rounds, refused, silent, wrong } = self.counts;
        let milliseconds = (self.client.now() - self.born) / 1_000_000;
        console::line(format_args!(
            "{}: {what} {milliseconds} ms, {rounds} rounds, {refused} refused, {silent} silent, {wrong} wrong, \
             {} events of {}",
            self.role.name, self.client.events, self.events_due
        ));
    }
}
