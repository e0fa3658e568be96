//! Going on after a fault: the recovery, who is given up because of it, and the check of what is left.

use super::Server;
use super::scratch::{Stage, Suspect, payload};
use crate::abi::{DomId, RingError};
use crate::platform::Platform;
use crate::trace::{Kind, Record, Stop};

impl<P: Platform> Server<P> {
    /// Goes on after a stop, as [`Server::recover`] does. A guest in whose request it happens a second time has its
    /// connection given up, so that it cannot do that for ever. Then all is checked: false if something is not as it must be:
    /// then a server made from the state of this one is sound.
    pub fn survive(&mut self, platform: &mut P, stop: Stop) -> bool {
        let begun = platform.cycles();
        self.core.clock.latest = begun;
        self.core.recorder.counters.restarts += 1;
        let suspect = self.suspect();
        let (detail, amount) = stop.told();
        let domid = suspect.map_or(DomId::INVALID, |at| self.core.store.domains.get(at.from).domid);
        let msg_type = suspect.map_or(0, |at| at.msg_type.min(255) as u8);
        self.core.note(Record { detail, amount, msg_type, ..Record::new(Kind::Fault, domid) });
        self.recover(platform);
        if let Some(suspect) = suspect {
            let again = suspect.is_again(&self.suspects);
            if self.suspects.is_full() {
                self.suspects.pop_front();
            }
            // There is room.
            let _fits = self.suspects.push_back(suspect);
            let here = self.links.is_heard(suspect.from) && !self.core.is_privileged(suspect.from);
            if again && here {
                self.ignore(platform, suspect.from, RingError::Proto);
            }
        }
        let sound = self.is_sound();
        // It may be the hand-over in which it happens, each time. Who is served for that is served by a sound store.
        if sound && suspect.is_none() && self.is_to_be_replaced() {
            if self.grows() {
                self.have_no_memory(false);
            }
            self.refuse(platform, format_args!("a fault stopped the update"));
        }
        self.core.clock.latest = platform.cycles();
        let amount = self.core.clock.latest.since(begun);
        self.core.note_of_domain(Kind::Recovered, DomId::INVALID, amount);
        sound
    }

    /// The request at hand.
    fn suspect(&self) -> Option<Suspect> {
        if self.exchange.stage == Stage::None {
            return None;
        }
        let from = self.exchange.from;
        let header = self.exchange.request.header;
        let text = self.core.store.key().hash(payload(&self.exchange.message, header.len as usize));
        let life = self.core.store.domains.get(from).life;
        Some(Suspect { from, life, text, msg_type: header.msg_type, at: self.core.clock.now })
    }
}
