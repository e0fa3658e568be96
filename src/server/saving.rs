//! A state for an operator, or what has changed since the store began: written as of one moment to memory that the store
//! lends, and handed out page by page.
//!
//! Both are written in parts, as the consistency check is done: others who only look are served between two of them. What of a
//! state is otherwise when somebody has read, such as what waits for each domain, is written in the last one.
//!
//! Invariant: what is lent is either for one of them that is held or for an image that is sent.

use super::Server;
use super::context::{Context, Outcome};
use super::core::Core;
use super::handlers::control;
use super::session::{At, Held, Pages, Writing};
use crate::connection::Links;
use crate::layers::{self, Difference};
use crate::platform::{Instant, Platform};
use crate::slots::Full;
use crate::state::page::{BYTES_MAX, What};
use crate::state::{Progress, Sink, VERSIONS};
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

    /// Writes some more of what is to be held. Returns what is next, none if that was all.
    fn write_more<R, P: Platform>(
        &self,
        links: &Links<R>,
        at: At,
        leaves: &mut Leaves<'_, P>,
    ) -> Result<Option<At>, Full> {
        match at {
            At::Layer { all, at } => {
                let difference = Difference { store: &self.store, own: self.own, all };
                let at = difference.write_some(at, leaves)?;
                if at != layers::At::End {
                    return Ok(Some(At::Layer { all, at }));
                }
                leaves.close();
            }
            At::State(progress) => {
                let state = self.state(links, *VERSIONS.end());
                if !progress.is_at_end() {
                    return Ok(Some(At::State(state.save_some(progress, leaves)?)));
                }
                state.save_back(leaves)?;
                leaves.close();
                let behind = leaves.pages.size;
                state.save_front(leaves)?;
                leaves.close();
                leaves.pages.front = leaves.pages.size - behind;
            }
        }
        Ok(None)
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
    /// Writes the page at hand, which is whole or the last, if there is anything on it.
    fn close(&mut self) {
        if self.page.is_empty() {
            return;
        }
        let Pages { room, taken, .. } = self.pages;
        *taken += BYTES_MAX;
        if let Some(start) = room.end.checked_sub(*taken).filter(|start| *start >= room.start) {
            self.platform.keep(start, self.page.payload());
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
    /// Begins to write what is to be held for the request at hand, which is set aside.
    pub(super) fn take(&mut self, what: What) -> Result<Outcome, XsError> {
        let at = match what {
            What::State => At::State(Progress::START),
            What::Layer { all } => At::Layer { all, at: layers::At::Start },
        };
        self.core.store.begin(Some(Ok(Answer::Data)), |intent| intent.check = true)?;
        self.core.updates.writing = Some(Writing { at, pages: None });
        self.set_aside();
        Ok(Outcome::Aside)
    }

    /// Writes some more of it. In the end the first page is the answer.
    #[cold]
    #[inline(never)] // It is rare.
    pub(super) fn write_some(&mut self, platform: &mut P) -> Result<(), XsError> {
        let Some(Writing { at, pages }) = self.core.updates.writing.clone() else { return Ok(()) };
        let what = at.what();
        let mut pages = pages.unwrap_or_else(|| self.begin_pages(what));
        let Server { core, links, exchange, .. } = self;
        let mut leaves = Leaves { platform, page: &mut exchange.event, pages: &mut pages };
        let answer = match core.write_more(links, at, &mut leaves) {
            Ok(Some(at)) => {
                core.updates.writing = Some(Writing { at, pages: Some(pages) });
                return Ok(());
            }
            Ok(None) => {
                exchange.reply.clear();
                self.end_pages(platform, what, &pages).map(|_| Answer::Data)
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

    /// After a stop: gives up what was being written, which may be what cannot be done. Whoever has asked for it gets EIO.
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
        core.updates.held =
            Some(Held { what, whose: exchange.from, number, end: room.end, size: 0, front: 0, until });
        core.updates.active = true;
        exchange.event.clear();
        Pages { room, ..Pages::default() }
    }

    /// All has been written: answers with the first page.
    fn end_pages(&mut self, platform: &mut P, what: What, pages: &Pages) -> Result<Outcome, XsError> {
        let Server { core, links, exchange, .. } = self;
        let Some(held) = &mut core.updates.held else { return Err(XsError::EIO) };
        (held.size, held.front) = (pages.size, pages.front);
        let (number, taken) = (held.number, pages.taken);
        core.store.take_back();
        if taken > pages.room.len() || core.store.lend(taken).is_none() {
            core.updates.held = None;
            return control::refuse_for_memory(core, what.name(), taken, &mut exchange.reply);
        }
        let mut context = Context { core, platform, roster: links.roster() };
        control::hand_out(&mut context, what, number, 0, &mut exchange.reply)
    }
}
