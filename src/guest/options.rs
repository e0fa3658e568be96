//! The words of the command line behind the role: `name=number` and `stay`.

use crate::image::fatal::{self, Reason};

pub struct Options {
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
    /// Dies after so many notifications, in the middle of whatever it does; 0 is never.
    pub die_after: u32,
    /// Seed of its random numbers; 0 is another one for each guest.
    pub seed: u64,
    /// Waits for `xl shutdown` after its end.
    pub stay: bool,
}

impl Options {
    /// A mistake ends the domain, with a line that says what is allowed.
    pub fn parse(words: impl Iterator<Item = &'static str>) -> Options {
        let mut options = Options {
            rate: 0,
            watches: 0,
            writes: 50,
            seconds: 0,
            rounds: 0,
            die_after: 0,
            seed: 0,
            stay: false,
        };
        for word in words {
            if options.set(word).is_none() {
                fatal::stop(
                    Reason::PowerOff,
                    format_args!(
                        "\"{word}\" is not known; allowed: stay, and with =NUMBER rate, watches, writes, seconds, \
                         rounds, die-after, seed"
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
        if name == "seed" {
            self.seed = value.parse().ok()?;
            return Some(());
        }
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
