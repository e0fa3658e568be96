//! A state for an operator, or what has changed since the store began: written at one moment to memory that the store lends,
//! and handed out page by page.
//!
//! Invariant: what is lent is either for one of them that is held or for an image that is sent.

use core::ops::Range;

use super::Server;
use super::context::{Context, Outcome};
use super::core::Core;
use super::handlers::control;
use super::session::Held;
use crate::connection::Links;
use crate::layers::Difference;
use crate::platform::Platform;
use crate::slots::Full;
use crate::state::page::{BYTES_MAX, What};
use crate::state::{Length, Sink, VERSIONS};
use crate::store::DomainId;
use crate::wire::{MessageBuf, XsError};

impl Core {
    /// Writes what is to be held.
    fn write<R>(&self, what: What, links: &Links<R>, sink: &mut dyn Sink) -> Result<(), Full> {
        match what {
            What::State => self.save(links, *VERSIONS.end(), sink),
            What::Layer { all } => Difference { store: &self.store, own: self.own, all }.write(sink),
        }
    }

    /// Forgets the state that is held, whose memory is the store's again.
    pub fn end_save(&mut self) {
        if self.updates.held.take().is_some() {
            self.store.take_back();
        }
    }

    /// The same if this connection has asked for it.
    pub fn end_save_of(&mut self, id: DomainId) {
        if self.updates.held.as_ref().is_some_and(|held| held.whose == id) {
            self.end_save();
        }
    }
}

/// A state as it is written to memory that is lent: page below page, so that what is left is next to what is not lent.
struct Pages<'a, P> {
    platform: &'a mut P,
    /// The page at hand.
    page: &'a mut MessageBuf,
    /// Below it are no more pages than fit here.
    room: Range<usize>,
    /// Bytes of all of it.
    size: usize,
}

impl<P: Platform> Pages<'_, P> {
    /// Writes the page at hand, which is whole or the last.
    fn close(&mut self) -> Result<(), Full> {
        let start = self.room.end.checked_sub(BYTES_MAX).filter(|start| *start >= self.room.start);
        self.room.end = start.ok_or(Full)?;
        self.platform.keep(self.room.end, self.page.payload());
        self.page.clear();
        Ok(())
    }
}

impl<P: Platform> Sink for Pages<'_, P> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BYTES_MAX.saturating_sub(self.page.len())));
            self.page.push(now).map_err(|_| Full)?;
            self.size += now.len();
            rest = later;
            if self.page.len() == BYTES_MAX {
                self.close()?;
            }
        }
        Ok(())
    }
}

impl<P: Platform> Server<P> {
    /// Takes the present state, or what has changed, and answers with its first page.
    #[inline(never)] // It is rare.
    pub(super) fn take(&mut self, platform: &mut P, what: What) -> Result<Outcome, XsError> {
        self.core.end_save();
        let Server { core, links, exchange, .. } = self;
        // As much as can be, until it is known how much it is.
        let room = core.store.lend(core.store.lendable()).unwrap_or_default();
        let end = room.end;
        // The counter goes on in an image that takes over, where no number of an earlier one may be that of another state.
        let number = core.clock.latest.0.max(core.updates.latest_state + 1);
        core.updates.latest_state = number;
        let until = core.clock.now.after_seconds(Held::PATIENCE);
        core.updates.held = Some(Held { what, whose: exchange.from, number, end, size: 0, until });
        core.updates.active = true;
        exchange.event.clear();
        let mut pages = Pages { platform, page: &mut exchange.event, room, size: 0 };
        let saved = core.write(what, links, &mut pages).and_then(|()| pages.close());
        let (size, taken) = (pages.size, end - pages.room.end);
        core.store.take_back();
        if saved.is_err() || core.store.lend(taken).is_none() {
            core.updates.held = None;
            let mut length = Length::default();
            core.write(what, links, &mut length).map_err(|Full| XsError::EIO)?;
            let size = length.0 as usize;
            return control::refuse_for_memory(core, what.name(), size, &mut exchange.reply);
        }
        if let Some(held) = &mut core.updates.held {
            held.size = size;
        }
        let mut context = Context { core, platform, roster: links.roster() };
        control::hand_out(&mut context, what, number, 0, &mut exchange.reply)
    }
}
