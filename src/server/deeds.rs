//! Work that takes connections: steps whose events are sent as they are taken, domains that the toolstack introduces
//! and releases, and what goes through the whole store.

use super::Server;
use super::context::Outcome;
use super::core::{Core, Deed, News};
use super::scratch::Stage;
use crate::abi::{DomId, Port};
use crate::path::Path;
use crate::platform::Platform;
use crate::slots::Claim;
use crate::store::check::Walk;
use crate::store::{Announcement, Answer, Burial, DomainId, Intent, Next, Restart};
use crate::trace::{Kind, Tally};
use crate::wire::XsError;

/// Messages that are dropped in one step of a session's end.
const DROPPED: u32 = 8;

/// Steps in which what nobody needs any more is forgotten, between others' turns.
const FORGOTTEN: u32 = 16;

impl<P: Platform> Server<P> {
    /// Does what a handler has left. Returns the request's answer.
    #[inline(never)] // Few leave anything.
    pub(super) fn carry_out(&mut self, platform: &mut P) -> Result<Outcome, XsError> {
        match self.core.deed.take() {
            Some(Deed::Introduce(domid, port)) => self.introduce(platform, domid, port)?,
            Some(Deed::Release(id)) => self.bury(id, Some(Ok(Answer::Ok)))?,
            Some(Deed::Check) => {
                self.aside.walk = Walk::default();
                self.core.updates.writing = None;
                self.core.store.begin(Some(Ok(Answer::Ok)), |intent| intent.check = true)?;
                self.set_aside();
                return Ok(Outcome::Aside);
            }
            Some(Deed::Update(start)) => return self.begin_update(start),
            Some(Deed::Take(what)) => return self.take(what),
            Some(Deed::PutOff) => {
                let Server { core, exchange, .. } = self;
                core.updates.put_off.push((exchange.from, exchange.request.header));
                return Ok(Outcome::Later);
            }
            None => {}
        }
        Ok(Outcome::OK)
    }

    /// Carries out what has been decided, and sends the events of each step. What others can do without for a while is left
    /// under way. True if that is more of the request at hand than is done in one go: it is to be set aside.
    #[inline(always)] // After most requests there is nothing.
    pub(super) fn work(&mut self, platform: &mut P) -> bool {
        self.send_collected();
        self.core.store.intents.may_have_some() && self.work_off(platform)
    }

    /// The same, to the end. A request that was set aside is answered then. There is none at hand, or it is the one whose work
    /// it is.
    pub(super) fn finish(&mut self, platform: &mut P) {
        let taken_up = self.take_up_aside();
        loop {
            if self.gives_places() {
                self.give_places();
            } else {
                self.work(platform);
            }
            if !self.is_under_way() {
                break;
            }
        }
        if taken_up {
            self.complete_late(platform);
        }
    }

    /// Sets the request at hand aside, until its turn comes to be gone on with.
    #[inline(never)] // Few requests are so large.
    pub(super) fn set_aside(&mut self) {
        self.aside.current = self.core.store.current;
        self.links.outbox.change_request();
        core::mem::swap(&mut self.exchange, &mut self.aside.exchange);
        self.core.store.current.end();
    }

    /// Cycles that the request has taken until now that has been at hand. They are paid for in this turn.
    pub(super) fn spent(&mut self, platform: &mut P) -> u32 {
        self.core.clock.latest = platform.cycles();
        self.core.clock.latest.since(self.begun)
    }

    /// Has the request at hand that was set aside, if there is one.
    fn take_up_aside(&mut self) -> bool {
        let there = self.aside.whose().is_some();
        if there {
            self.core.store.current = self.aside.current;
            self.links.outbox.change_request();
            core::mem::swap(&mut self.exchange, &mut self.aside.exchange);
            self.begun = self.core.clock.latest.before(self.aside.spent);
        }
        there
    }

    /// Goes on with a request at hand that has been begun, by what was decided of it.
    #[inline(never)] // In several places.
    pub(super) fn complete_late(&mut self, platform: &mut P) {
        if self.work(platform) {
            return self.set_aside();
        }
        let from = self.exchange.from;
        // What was left may have decided it.
        let answer = self.core.store.current.answer.unwrap_or(Err(XsError::EIO));
        // After a stop it gets the same answer.
        self.core.store.current.answer = Some(answer);
        if self.conclude(platform, from, answer, true) {
            if !self.exchange.request.is_earlier() {
                self.links.drop_input(&mut self.core.store, from);
            }
            self.links.schedule.ready(from);
        }
        self.exchange.stage = Stage::None;
    }

    /// Whether something has been left under way that others are to see as a whole.
    #[inline(never)] // In many places.
    pub(super) fn is_under_way(&mut self) -> bool {
        self.core.store.intents.may_have_some()
            && (self.core.store.collected.late.is_some() || !self.core.store.intents.is_empty())
    }

    /// Goes on with what is under way, hears news, and forgets some of what nobody needs any more. True if there is more to
    /// do.
    #[inline(always)] // As above.
    pub(super) fn go_on(&mut self, platform: &mut P) -> bool {
        self.has_more_to_do() && self.take_slice(platform)
    }

    /// Whether there may be something of that.
    #[inline(always)] // As above.
    pub(super) fn has_more_to_do(&self) -> bool {
        self.core.store.intents.may_have_some()
            || self.core.news != News::None
            || self.links.schedule.has_put_off()
    }

    #[inline(never)]
    pub(super) fn take_slice(&mut self, platform: &mut P) -> bool {
        // Who has been answered meanwhile does not wait for it.
        self.notify_amid(platform);
        self.core.clock.latest = platform.cycles();
        let begun = self.core.clock.latest;
        let late = self.core.store.collected.late.is_some();
        let by = self.core.store.collected.by.0.filter(|_| late);
        let Intent { reset, restart, .. } = self.core.store.intents.get();
        let by = self.aside.whose().or(by).or(*reset).or(restart.map(|restart| restart.id));
        if self.gives_places() {
            self.give_places();
        } else if self.take_up_aside() {
            self.complete_late(platform);
            self.aside.spent = self.spent(platform);
        } else if self.is_under_way() {
            self.work(platform);
        }
        let mut forgotten = 0;
        // A check counts what is to be forgotten, too.
        let counted = self.core.store.intents.get().check;
        while !counted && forgotten < FORGOTTEN && self.core.store.forget_some() {
            forgotten += 1;
        }
        let left = self.is_under_way();
        if !left {
            self.links.schedule.go_on();
        }
        let more = left || self.observe_domains(platform) || forgotten > 0;
        self.core.clock.latest = platform.cycles();
        if let Some(by) = by {
            // Whoever has caused it pays for it.
            self.charge_late(platform, by, begun, false);
        }
        more
    }

    /// Before a domain is served: gives it its place, if it is to hear of what is under way. False if nothing is read of it in
    /// this turn: its session is being ended, or its last request is set aside.
    #[inline(always)] // As above.
    pub(super) fn may_have_turn(&mut self, platform: &mut P, id: DomainId) -> bool {
        !self.core.store.intents.may_have_some() || self.is_placed_first(platform, id)
    }

    #[inline(never)]
    fn is_placed_first(&mut self, platform: &mut P, id: DomainId) -> bool {
        if self.core.store.collected.late.is_some() {
            self.give_place(id);
        }
        if self.aside.whose() == Some(id) {
            // It is ready when that is answered. What lies in its ring is looked at once.
            self.send_waiting(platform, id);
            return false;
        }
        let ends = self.core.store.intents.get().ends_session_of() == Some(id);
        if ends {
            self.links.schedule.put_off(id);
            self.core.clock.latest = platform.cycles();
        }
        !ends
    }

    /// Stopped at any point and called again, it does the rest. The result is [`Server::work`]'s.
    #[inline(never)]
    fn work_off(&mut self, platform: &mut P) -> bool {
        let done = |core: &Core| (core.store.present_attempt().latest(), core.recorder.counters.events);
        let (attempts, events) = done(&self.core);
        let asks = self.core.store.current.from.is_some();
        // Whoever asks for something else meanwhile does not wait for it.
        let amid = asks && self.changes_nothing();
        while !amid && !self.gives_places() && self.take_step(platform) {
            let now = done(&self.core);
            let limits = self.core.store.limits();
            let spent = now.0 - attempts > limits.attempts || now.1 - events > limits.events;
            // Each of a check's last passes is a go, and each part of what is written.
            if spent || self.aside.walk.pass >= Walk::PASSES || self.core.updates.writing.is_some() {
                break;
            }
        }
        let left = asks && !amid && !self.core.store.intents.is_empty();
        if self.core.store.collected.late.is_some()
            && let Some(from) = self.core.store.current.from
        {
            // Its answer follows.
            self.give_place(from);
            self.links.outbox.leave_late();
        }
        left
    }

    /// Whether those who have been gathered are to have their places before there is another step.
    pub(super) fn gives_places(&self) -> bool {
        self.core.store.collected.late.is_some() && !self.core.store.intents.get().has_events()
    }

    /// Takes the next step. False if it was the last one.
    fn take_step(&mut self, platform: &mut P) -> bool {
        if self.drop_some_output() {
            return true;
        }
        let Server { core, links, .. } = self;
        let next = core.store.step(|id| links.has(id));
        core.note_ended();
        match next {
            Ok(Next::Step) => {}
            Ok(Next::Send) => self.send_collected(),
            Ok(Next::Check) => {
                let checked = match self.core.updates.writing {
                    Some(_) => self.write_some(platform),
                    None => self.check_some(),
                };
                debug_assert!(checked.is_ok(), "there is room for the record of what is to be done");
            }
            Ok(Next::Restart(restart)) => self.restart(platform, restart),
            Ok(Next::Disconnect(id)) => self.disconnect_dead(platform, id),
            Ok(Next::Buried(id, domid)) => {
                if let Some(tally) = self.core.recorder.domain_mut(id.index()) {
                    *tally = Tally::EMPTY;
                }
                self.core.note_of_domain(Kind::Released, domid, 0);
                self.send_collected();
            }
            Ok(Next::Nothing) => return false,
            Err(error) => {
                log::error!("what was decided cannot be done ({}); please report this", error.name());
                self.core.store.give_up();
                return false;
            }
        }
        true
    }

    /// Begins to end a domain's life: to drop its session, its nodes with all below them, its connection, its record. Nothing is
    /// under way.
    pub(super) fn bury(
        &mut self,
        id: DomainId,
        answer: Option<Result<Answer, XsError>>,
    ) -> Result<(), XsError> {
        let burial =
            Burial { id, introduced: self.links.has(id), keep_nodes: self.core.settings.keep_orphans };
        self.core.store.account_end(id);
        self.core.store.begin(answer, |intent| intent.bury = Some(burial))
    }

    /// Begins to drop a connection's session: output, watches, transactions, half a request. Then its ring is reset if
    /// `restart`; else it is not listened to any more. Nothing is under way.
    pub(super) fn drop_session(&mut self, platform: &mut P, id: DomainId, restart: bool) {
        self.drop_io(id);
        let begun = self.core.store.begin(None, |intent| {
            intent.reset = Some(id);
            intent.restart = restart.then_some(Restart { id, again: true, port: None });
        });
        debug_assert!(begun.is_ok(), "there is room for the record of what is to be done");
        if let Some(connection) = self.links.get_mut(id).filter(|_| !restart) {
            connection.ignored = true;
        }
        self.work(platform);
        // It pays for that.
        self.core.clock.latest = platform.cycles();
    }

    /// Drops some of what a connection has not read whose session is being ended. False if there is nothing of it.
    fn drop_some_output(&mut self) -> bool {
        let Server { core, links, .. } = self;
        let Intent { reset, .. } = core.store.intents.get();
        let given_up = reset.filter(|id| !links.is_heard(*id));
        let Some(id) = core.store.intents.get().ends_session_of().or(given_up) else { return false };
        if !links.has_output(id) {
            return false;
        }
        for _ in 0..DROPPED {
            let Some(message) = links.drop_oldest(&mut core.store, id) else { break };
            core.note_given_up(id, &message);
        }
        true
    }

    /// Drops what a connection has not sent as a whole, and what is noted of it.
    #[inline(never)] // In several places.
    fn drop_io(&mut self, id: DomainId) {
        self.links.drop_input(&mut self.core.store, id);
        self.core.forget_update(id);
        self.core.store.forget_stop(id);
        self.links.schedule.unstall(id);
    }

    /// Resets a domain's ring.
    fn restart(&mut self, platform: &mut P, restart: Restart) {
        let Restart { id, again, port } = restart;
        let domid = self.core.store.domains.get(id).domid;
        if let Some(port) = port {
            self.rebind(platform, id, domid, port);
        }
        if again {
            self.core.note_of_domain(Kind::Restarted, domid, 0);
        }
        self.drop_io(id);
        self.links.restart(id);
        let done = self.core.store.begin(None, |intent| intent.restart = None);
        debug_assert!(done.is_ok(), "there is room for the record of what is to be done");
    }

    fn disconnect_dead(&mut self, platform: &mut P, id: DomainId) {
        self.drop_io(id);
        self.close_port(platform, id);
        self.links.remove(id);
    }

    /// Starts to serve a domain, or resets its connection.
    fn introduce(&mut self, platform: &mut P, domid: DomId, port: Port) -> Result<(), XsError> {
        self.bury_predecessor(platform, domid)?;
        let id = self.core.know(platform, domid).ok_or(XsError::EINVAL)?;
        let answer = Some(Ok(Answer::Ok));
        if self.links.has(id) {
            self.core.store.begin(answer, |intent| {
                intent.reset = Some(id);
                intent.restart = Some(Restart { id, again: true, port: Some(port) });
            })?;
        } else {
            self.connect(platform, id, domid, port)?;
            self.core.store.decide(Ok(Answer::Ok), Claim::Answer, |store| {
                store.promise(id, true)?;
                store.collect_special(Path::INTRODUCE_DOMAIN, None);
                let intent = store.intents.modify()?;
                intent.announce = Some(Announcement::Introduced(domid));
                intent.restart = Some(Restart { id, again: false, port: None });
                Ok(())
            })?;
            self.links.join();
        }
        Ok(())
    }

    /// Ends the domain on record if the number now means another one. EAGAIN: the request at hand is to be decided again when
    /// that is done. EINVAL: the hypervisor does not say.
    fn bury_predecessor(&mut self, platform: &mut P, domid: DomId) -> Result<(), XsError> {
        let Some(id) = self.core.store.domains.find(domid) else { return Ok(()) };
        let known = self.core.store.domains.get(id).unique_id;
        let now = platform.state(domid)?;
        if known != 0 && !now.is_some_and(|state| state.may_be_of(known)) {
            self.bury(id, None)?;
            self.core.store.current.pauses = true;
            return Err(XsError::EAGAIN);
        }
        Ok(())
    }
}
