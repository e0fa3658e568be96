//! The command line: a role, then `name=number` and `stay`, separated by blanks.

use core::str;

use crate::image::fatal::{self, Reason};
use crate::life::Role;
use crate::roles::ROLES;

pub struct Options {
    pub role: &'static Role,
    /// Rounds in a second; 0 is as fast as it goes.
    pub rate: u32,
    /// Watches that `load` keeps on the node it writes.
    pub watches: u32,
    /// Of 100 requests of `load`, how many write.
    pub writes: u32,
    /// Ends after so many seconds; 0 is never.
    pub seconds: u32,
    /// Ends after so many rounds; 0 is never.
    pub rounds: u32,
    /// Is gone after so many notifications, in the middle of whatever it does; 0 is never.
    pub die_after: u32,
    /// Waits for `xl shutdown` after its end.
    pub stay: bool,
}

impl Options {
    /// What is wrong ends the domain, with a line that says what is allowed.
    pub fn parse(line: &'static [u8]) -> Options {
        let line = str::from_utf8(line).unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or("hello");
        let Some(role) = ROLES.iter().find(|role| role.name == name) else {
            fatal::stop(Reason::PowerOff, format_args!("no role \"{name}\"; allowed: {}", Names));
        };
        let mut options = Options {
            role,
            rate: 0,
            watches: 0,
            writes: 50,
            seconds: 0,
            rounds: 0,
            die_after: 0,
            stay: false,
        };
        for word in words {
            if options.set(word).is_none() {
                fatal::stop(
                    Reason::PowerOff,
                    format_args!(
                        "\"{word}\" is not known; allowed: stay, and with =NUMBER rate, watches, writes, seconds, \
                         rounds, die-after"
                    ),
                );
            }
        }
        options
    }

    fn set(&mut self, word: &str) -> Option<()> {
        if word == "stay" {
            self.stay = true;
            return Some(());
        }
        let (name, value) = word.split_once('=')?;
        let place = match name {
            "rate" => &mut self.rate,
            "watches" => &mut self.watches,
            "writes" => &mut self.writes,
            "seconds" => &mut self.seconds,
            "rounds" => &mut self.rounds,
            "die-after" => &mut self.die_after,
            _ => return None,
        };
        *place = value.parse().ok()?;
        Some(())
    }
}

/// The names of all roles, to be printed.
struct Names;

impl core::fmt::Display for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        ROLES.iter().try_for_each(|role| write!(f, "{} ", role.name))
    }
}
