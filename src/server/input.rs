//! When a request is taken, and when a connection is given up or reset.

use super::Server;
use super::operations::Operation;
use super::scratch::{Exchange, Stage, payload};
use crate::abi::{DomId, RingError, ServerFeatures};
use crate::connection::Found;
use crate::path::{PathBuf, home};
use crate::platform::Platform;
use crate::store::DomainId;
use crate::trace::{Kind, Stall};
use crate::wire::{Header, TxId, strings};

impl<P: Platform> Server<P> {
    /// Serves one request, if a whole one is there and its answer will have room. True if there is more to
    /// do.
    #[inline(never)] // So the loop around it keeps its registers.
    pub(super) fn serve_one(&mut self, platform: &mut P, id: DomainId) -> bool {
        if !self.may_read(id) {
            return false;
        }
        let Exchange { message, request, .. } = &mut *self.exchange;
        match self.links.look(&mut self.core.store, id, message, request, Operation::<P>::may_repeat) {
            Found::Nothing => false,
            Found::NoRoom => {
                self.stall(id, Stall::NoRoom);
                false
            }
            Found::Broken(error) => {
                self.ignore(platform, id, error);
                false
            }
            // What is under way is seen as it was, or as it will be.
            Found::Message if self.is_under_way() && !self.only_looks() => true,
            Found::Message => {
                (self.exchange.from, self.exchange.stage) = (id, Stage::Taken);
                let answered = self.answer(platform, id);
                let more = answered && self.links.has_more(&mut self.core.store, id);
                self.exchange.stage = Stage::None;
                if !answered {
                    self.stall(id, Stall::NoRoom);
                }
                more
            }
        }
    }

    /// Whether the request that has been found changes nothing, and sees nothing that is being removed.
    #[inline(never)]
    fn only_looks(&self) -> bool {
        let Header { msg_type, tx_id, .. } = self.exchange.request.header;
        tx_id == TxId::NONE && Operation::<P>::may_repeat(msg_type) && !self.may_see_removal()
    }

    /// Whether the request that has been found may be about what is being removed.
    fn may_see_removal(&self) -> bool {
        let Server { core, exchange, .. } = self;
        let Some(removal) = core.store.intents.get().remove else { return false };
        let mut top = PathBuf::new();
        let name = strings(payload(&exchange.message, exchange.request.header.len as usize)).next();
        let (Ok(top), Some(name)) = (core.store.path_of(removal.top, &mut top), name) else { return true };
        let mut digits = [0; 10];
        let pieces = match name.first() {
            Some(b'/') => [name, &[]],
            _ => home(core.store.domains.get(exchange.from).domid, &mut digits),
        };
        // One of them is above the other, as far as this one look tells.
        core::iter::zip(top.as_bytes(), pieces.into_iter().flatten()).all(|(one, other)| one == other)
    }

    /// Whether the next request of this connection may be taken now.
    fn may_read(&mut self, id: DomainId) -> bool {
        let unread = self.links.why_unread(&self.core.store, id);
        let why = self.core.why_held(id).or(unread);
        if let Some(why) = why
            && self.links.is_heard(id)
        {
            self.stall(id, why);
        }
        why.is_none()
    }

    /// Gives a connection up: its domain stays introduced and keeps its nodes, but its ring is not read any more.
    pub(super) fn ignore(&mut self, platform: &mut P, id: DomainId, error: RingError) {
        let offered = self.core.store.domains.get(id).features.contains(ServerFeatures::ERROR);
        let domid: DomId = self.core.store.domains.get(id).domid;
        self.drop_session(platform, id, false);
        if let Some(connection) = self.links.get_mut(id) {
            connection.ignored = true;
            if offered {
                connection.ring.error.store(error as u32, core::sync::atomic::Ordering::Release);
            }
        }
        log::warn!("domain {domid} broke the ring protocol ({error:?}) and is ignored from now on");
        self.core.note_of_domain(Kind::RingError, domid, error as u32);
        self.links.schedule.notify(id);
    }

    /// Resets a connection whose guest asks for that by setting `connection` to 1.
    pub(super) fn reconnect_if_asked(&mut self, platform: &mut P, id: DomainId) {
        use core::sync::atomic::Ordering::Relaxed;
        let asked = self
            .links
            .get_mut(id)
            .is_some_and(|connection| !connection.ignored && connection.ring.connection.load(Relaxed) == 1);
        if asked && self.core.offers(id, ServerFeatures::RECONNECTION) {
            self.drop_session(platform, id, true);
        }
    }
}
