//! The guest's life: rounds of one role, counted and reported, up to its end.

use core::fmt::{self, Write};

use heapless::String;
use xenstore::abi::DomId;
use xenstore::client::{Answer, Client};
use xenstore::roles::{Counts, Guest};

use crate::image::console;
use crate::image::fatal::{self, Reason};
use crate::machine::Machine;
use crate::options::Options;

type Role = xenstore::roles::Role<Machine>;

const SECOND: u64 = 1_000_000_000;

pub struct Life {
    guest: Guest<Machine>,
    role: &'static Role,
    options: Options,
    seed: u64,
    born: u64,
    told: u64,
}

impl Life {
    pub fn new(client: Client<Machine>, domid: DomId, role: &'static Role, options: Options) -> Life {
        let born = client.now();
        let seed = if options.seed == 0 { born ^ u64::from(domid.0) << 40 } else { options.seed };
        let mut guest = Guest::new(client, domid, seed);
        (guest.watches, guest.writes) = (options.watches, options.writes);
        Life { guest, role, options, seed, born, told: born }
    }

    /// Its whole life.
    pub fn live(mut self) -> ! {
        if let Err(failure) = self.greet() {
            fatal::stop(Reason::Crash, format_args!("the store does not take a greeting: {failure}"));
        }
        console::line(format_args!("seed={}", self.seed));
        self.report("began");
        while !self.is_over() {
            self.guest.live(self.role);
            self.keep_pace();
            if self.guest.client.now() - self.told >= SECOND {
                self.report("at");
                self.told = self.guest.client.now();
            }
        }
        // Further events, due or not, may still be on their way.
        let now = self.guest.client.now();
        self.guest.client.listen(now + SECOND / 10);
        self.guest.client.listen_for(self.guest.events_due, now + 10 * SECOND);
        self.report("ended");
        if self.guest.longest > 0 {
            console::line(format_args!("waited {} us at most", self.guest.longest / 1000));
        }
        while self.options.stay && !self.guest.client.is_to_stop() {
            self.guest.client.listen(self.guest.client.now() + SECOND);
        }
        let reason = if self.guest.client.reboots { Reason::Reboot } else { Reason::PowerOff };
        fatal::stop(reason, format_args!("{}: bye", self.role.name))
    }

    /// The first requests of every guest, so that dom0 can see that it runs.
    fn greet(&mut self) -> Answer<()> {
        self.guest.client.watch_shutdown()?;
        let mut words = String::<64>::new();
        // No role's name is too long.
        let _ = write!(words, "{} from domain {}", self.role.name, self.guest.domid);
        self.guest.client.write(b"data/hello", words.as_bytes())
    }

    fn is_over(&mut self) -> bool {
        let Options { seconds, rounds, .. } = self.options;
        let age = (self.guest.client.now() - self.born) / SECOND;
        rounds != 0 && self.guest.counts.rounds >= rounds
            || seconds != 0 && age >= u64::from(seconds)
            || self.guest.client.is_to_stop()
    }

    fn keep_pace(&mut self) {
        if self.options.rate != 0 {
            let due = self.born + u64::from(self.guest.counts.rounds) * SECOND / u64::from(self.options.rate);
            while self.guest.client.now() < due && !self.guest.client.is_to_stop() {
                self.guest.client.listen(due);
            }
        }
    }

    fn report(&self, what: &str) {
        let Counts { rounds, refused, silent, wrong } = self.guest.counts;
        let milliseconds = (self.guest.client.now() - self.born) / 1_000_000;
        console::line(format_args!(
            "{}: {what} {milliseconds} ms, {rounds} rounds, {refused} refused, {silent} silent, {wrong} wrong, \
             {} events of {}",
            self.role.name, self.guest.client.events, self.guest.events_due
        ));
    }
}

/// The role with this name. If there is none, that ends the domain, with a line that says what is allowed.
pub fn named(name: &str) -> &'static Role {
    Role::named(name).unwrap_or_else(|| {
        fatal::stop(Reason::PowerOff, format_args!("no role \"{name}\"; allowed: {}", Names))
    })
}

/// The names of all roles, to be printed.
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Role::all().try_for_each(|role| write!(f, "{} ", role.name))
    }
}
