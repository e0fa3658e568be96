//! A state for an operator, or what has changed since the store began: written as of one moment to memory that the store
//! lends, and handed out page by page.
//!
//! What has changed is written in parts, as the consistency check is done: others who only look are served between two of them. A
//! state says what waits for each domain, too, which whoever reads changes, so it is written in one go.
//!
//! Invariant: what is lent is either for one of them that is held or for an image that is sent.

use super::Server;
use super::context::{Context, Outcome};
use super::core::Core;
use super::handlers::control;
use super::session::{Held, Pages, Writing};
use crate::layers::{At, Difference};
use crate::platform::{Instant, Platform};
use crate::slots::Full;
use crate::state::page::{BYTES_MAX, What};
use crate::state::{Sink, VERSIONS};
use crate::store::{Answer, DomainId};
use crate::wire::{MessageBuf, XsError};

impl Core {
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

/// The pages on their way to the memory.
struct Leaves<'a, P> {
    platform: &'a mut P,
    /// The page at hand.
    page: &'a mut MessageBuf,
    pages: &'a mut Pages,
}

impl<P: Platform> Leaves<'_, P> {
    /// Writes the page at hand, which is whole or the last.
    fn close(&mut self) {
        let Pages { room, is_full, .. } = self.pages;
        match room.end.checked_sub(BYTES_MAX).filter(|start| *start >= room.start && !*is_full) {
            Some(start) => {
                room.end = start;
                self.platform.keep(start, self.page.payload());
            }
            None => *is_full = true,
        }
        self.page.clear();
    }
}

impl<P: Platform> Sink for Leaves<'_, P> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BYTES_MAX.saturating_sub(self.page.len())));
            self.page.push(now).map_err(|_| Full)?;
            self.pages.size += now.len();
            rest = later;
            if self.page.len() == BYTES_MAX {
                self.close();
            }
        }
        Ok(())
    }
}

impl<P: Platform> Server<P> {
    /// Takes the present state and answers with its first page.
    #[inline(never)] // It is rare.
    pub(super) fn take_state(&mut self, platform: &mut P) -> Result<Outcome, XsError> {
        let mut pages = self.begin_pages(What::State);
        let Server { core, links, exchange, .. } = self;
        let mut leaves = Leaves { platform, page: &mut exchange.event, pages: &mut pages };
        if core.save(links, *VERSIONS.end(), &mut leaves).is_err() {
            core.end_save();
            return Err(XsError::EIO);
        }
        leaves.close();
        self.end_pages(platform, What::State, &pages)
    }

    /// Begins to write what has changed for the request at hand, which is set aside.
    pub(super) fn take_layer(&mut self, all: bool) -> Result<Outcome, XsError> {
        self.core.updates.writing = Some(Writing { all, at: At::Start, pages: Pages::default() });
        self.core.store.begin(Some(Ok(Answer::Data)), |intent| intent.check = true)?;
        self.set_aside();
        Ok(Outcome::Aside)
    }

    /// Writes some more of it. In the end the first page is the answer.
    pub(super) fn write_some(&mut self, platform: &mut P) -> Result<(), XsError> {
        let Some(Writing { all, at, mut pages }) = self.core.updates.writing.clone() else { return Ok(()) };
        let what = What::Layer { all };
        if at == At::Start {
            pages = self.begin_pages(what);
        }
        let Server { core, exchange, .. } = self;
        let mut leaves = Leaves { platform, page: &mut exchange.event, pages: &mut pages };
        let difference = Difference { store: &core.store, own: core.own, all };
        let answer = match difference.write_some(at, &mut leaves) {
            Ok(At::End) => {
                leaves.close();
                exchange.reply.clear();
                self.end_pages(platform, what, &pages).map(|_| Answer::Data)
            }
            Ok(at) => {
                self.core.updates.writing = Some(Writing { all, at, pages });
                return Ok(());
            }
            Err(Full) => {
                core.end_save();
                Err(XsError::EIO)
            }
        };
        self.core.store.current.answer = Some(answer);
        self.core.store.begin(None, |intent| intent.check = false)?;
        self.core.updates.writing = None;
        Ok(())
    }

    /// After a stop: gives up what was being written, which may be what cannot be done. A layer that was asked for is answered
    /// with EIO.
    pub(super) fn give_up_writing(&mut self) {
        let Server { core, aside, .. } = self;
        if core.updates.held.as_ref().is_some_and(|held| held.size == 0) {
            core.end_save();
        }
        if core.updates.writing.take().is_none() {
            return;
        }
        let current = if aside.whose().is_some() { &mut aside.current } else { &mut core.store.current };
        current.answer = Some(Err(XsError::EIO));
        if core.store.intents.get().check {
            let ended = core.store.begin(None, |intent| intent.check = false);
            debug_assert!(ended.is_ok(), "there is room for the record of what is to be done");
        }
    }

    /// Lends memory for what is to be held, as much as can be until it is known how much it is.
    fn begin_pages(&mut self, what: What) -> Pages {
        self.core.end_save();
        let Server { core, exchange, .. } = self;
        let room = core.store.lend(core.store.lendable()).unwrap_or_default();
        // The counter goes on in an image that takes over, where no number of an earlier one may be that of another state.
        let number = core.clock.latest.0.max(core.updates.latest_state + 1);
        core.updates.latest_state = number;
        // Until it is whole it is not given up.
        let until = Instant(u64::MAX);
        core.updates.held = Some(Held { what, whose: exchange.from, number, end: room.end, size: 0, until });
        core.updates.active = true;
        exchange.event.clear();
        Pages { room, ..Pages::default() }
    }

    /// All has been written: answers with the first page.
    fn end_pages(&mut self, platform: &mut P, what: What, pages: &Pages) -> Result<Outcome, XsError> {
        let Server { core, links, exchange, .. } = self;
        let Some(held) = &mut core.updates.held else { return Err(XsError::EIO) };
        held.size = pages.size;
        let (number, taken) = (held.number, held.end.saturating_sub(pages.room.end));
        core.store.take_back();
        if pages.is_full || core.store.lend(taken).is_none() {
            core.updates.held = None;
            return control::refuse_for_memory(core, what.name(), pages.size, &mut exchange.reply);
        }
        let mut context = Context { core, platform, roster: links.roster() };
        control::hand_out(&mut context, what, number, 0, &mut exchange.reply)
    }
}
