//! When a request is taken, and when a connection is given up or reset.

use super::Server;
use super::operations::Operation;
use super::scratch::{Exchange, Stage, payload};
use crate::abi::{DomId, RingError, ServerFeatures};
use crate::connection::Found;
use crate::path::{PathBuf, Special, canonicalize};
use crate::platform::Platform;
use crate::store::{Apply, DomainId, Intent};
use crate::trace::{Kind, Stall};
use crate::wire::{Header, MessageType, TxId, strings};

impl<P: Platform> Server<P> {
    /// Serves one request, if a whole one is there and its answer will have room. True if there is more to
    /// do.
    #[inline(always)] // Its only use.
    pub(super) fn serve_one(&mut self, platform: &mut P, id: DomainId) -> bool {
        if self.may_read(id) {
            let Exchange { message, request, .. } = &mut *self.exchange;
            match self.links.look(&mut self.core.store, id, message, request, Operation::<P>::may_repeat) {
                Found::Nothing => {}
                Found::NoRoom => self.stall(id, Stall::NoRoom),
                Found::Broken(error) => self.ignore(platform, id, error),
                // What is under way is seen as it was, or as it will be.
                Found::Message if self.core.store.intents.may_have_some() && !self.may_be_served(id) => {
                    self.links.schedule.put_off(id);
                }
                Found::Message => {
                    let exchange = &mut *self.exchange;
                    (exchange.from, exchange.stage) = (id, Stage::Taken);
                    let answered = self.answer(platform, id);
                    let more = match answered {
                        true => self.links.has_more(&mut self.core.store, id),
                        false => self.goes_on(platform, id),
                    };
                    self.exchange.stage = Stage::None;
                    return more;
                }
            }
        }
        // A turn in which nothing is served has its price, too. For the privileged, and for who has got something to read, that is
        // only where others wait.
        if self.links.schedule.has_ready()
            || self.core.store.intents.may_have_some()
            || !(self.core.is_privileged(id) || self.links.may_notify(id))
        {
            self.core.clock.latest = platform.cycles();
        }
        false
    }

    /// What becomes of a request that has no answer yet. True if it is to be served again in the next turn.
    #[cold]
    #[inline(never)]
    fn goes_on(&mut self, platform: &mut P, id: DomainId) -> bool {
        let spent = self.spent(platform);
        if self.aside.whose() == Some(id) {
            self.aside.spent = spent;
            return false;
        }
        let domid = self.core.store.domains.get(id).domid;
        self.core.store.trace.begins_again(domid);
        if !self.core.store.current.pauses {
            self.stall(id, Stall::NoRoom);
        }
        self.core.store.current.pauses
    }

    /// Whether nothing is under way, or the request of `from` that has been found changes nothing, and sees nothing that is
    /// being changed.
    #[inline(never)]
    fn may_be_served(&mut self, from: DomainId) -> bool {
        !self.is_under_way() || (self.changes_nothing() && !self.may_see_change(from))
    }

    /// Whether the request that has been found is of a kind that changes nothing, not even a transaction.
    pub(super) fn changes_nothing(&self) -> bool {
        let Header { msg_type, tx_id, .. } = self.exchange.request.header;
        tx_id == TxId::NONE && Operation::<P>::may_repeat(msg_type)
    }

    /// Whether the request that has been found may see something as it will not be once what is under way is done.
    fn may_see_change(&self, from: DomainId) -> bool {
        let Server { core, exchange, .. } = self;
        let (store, Header { msg_type, len, .. }) = (&core.store, exchange.request.header);
        let Intent { apply, remove, bury, .. } = *store.intents.get();
        if apply.is_none() && remove.is_none() && bury.is_none() {
            return false;
        }
        let (name, mut buf) = (strings(payload(&exchange.message, len as usize)).next(), PathBuf::new());
        let caller = store.domains.caller(from);
        name.and_then(|name| canonicalize(name, caller.domid, None, Special::Allowed, &mut buf).ok())
            .is_some_and(|path| match apply {
                Some(Apply { tx, .. }) => store.may_differ(tx, path),
                None => store.may_go(&caller, path, msg_type == MessageType::GetPerms as u32),
            })
    }

    /// Whether the next request of this connection may be taken now.
    #[inline(always)] // Before every request.
    fn may_read(&mut self, id: DomainId) -> bool {
        let unread = self.links.why_unread(&self.core.store, id);
        (unread.is_none() && !self.core.may_be_held(id)) || self.may_be_read(id)
    }

    /// The same where something speaks against it.
    #[inline(never)]
    fn may_be_read(&mut self, id: DomainId) -> bool {
        let unread = self.links.why_unread(&self.core.store, id);
        let why = self.core.why_held(id).or(unread);
        if let Some(why) = why
            && self.links.is_heard(id)
        {
            self.stall(id, why);
        }
        why.is_none()
    }

    /// Gives a connection up: its domain stays introduced and keeps its nodes, but its ring is not read any more. Where
    /// something is under way, that is looked at again when it is done.
    #[inline(never)] // In several places.
    pub(super) fn ignore(&mut self, platform: &mut P, id: DomainId, error: RingError) {
        if self.is_under_way() {
            self.links.schedule.put_off(id);
            return;
        }
        let offered = self.core.store.domains.get(id).features.contains(ServerFeatures::ERROR);
        let domid: DomId = self.core.store.domains.get(id).domid;
        self.drop_session(platform, id, false);
        if let Some(connection) = self.links.get_mut(id).filter(|_| offered) {
            connection.ring.error.store(error as u32, core::sync::atomic::Ordering::Release);
        }
        log::warn!("domain {domid} broke the ring protocol ({error:?}) and is ignored from now on");
        self.core.note_of_domain(Kind::RingError, domid, error as u32);
        self.links.schedule.notify(id);
    }

    /// Begins to reset a connection if its guest asks for that. True if it has no turn before that is done; where something
    /// else is under way, it is looked at again after that.
    #[inline(always)] // At every turn.
    pub(super) fn reconnects(&mut self, platform: &mut P, id: DomainId) -> bool {
        self.asks_to_reconnect(id) && self.is_to_reset(platform, id)
    }

    /// Whether a connection's guest asks for it to be reset, by setting `connection` to 1.
    #[inline(always)] // At every turn.
    pub(super) fn asks_to_reconnect(&self, id: DomainId) -> bool {
        use core::sync::atomic::Ordering::Relaxed;
        self.links.get(id).is_some_and(|connection| connection.ring.connection.load(Relaxed) == 1)
    }

    #[cold]
    #[inline(never)]
    fn is_to_reset(&mut self, platform: &mut P, id: DomainId) -> bool {
        if !self.links.is_heard(id) || !self.core.offers(id, ServerFeatures::RECONNECTION) {
            return false;
        }
        if !self.is_under_way() {
            self.drop_session(platform, id, true);
        }
        let waits = self.is_under_way();
        if waits {
            self.links.schedule.put_off(id);
        }
        waits
    }
}
