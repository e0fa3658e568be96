//! The loop: which connections have a turn and for how long, when peers are notified, when the server wakes again.

use super::Server;
use crate::abi::DomId;
use crate::connection::{Hindrance, Pace, Pass, Turn};
use crate::platform::{Cycles, Event, Instant, Platform};
use crate::ring;
use crate::store::DomainId;
use crate::trace::{Kind, Record, Stall};

/// Requests of one connection that are served in one turn while others wait.
const TURN: usize = 8;

/// Attempts after which the next request waits for the others' turns: each changes a few slots, so they count work where
/// requests do not. Ordinary requests take two.
const ATTEMPTS: u64 = 16;

/// Turns that fill a second, if each takes as long as it may: 25 µs.
const TURNS_A_SECOND: u64 = 40_000;

/// Nanoseconds of the clock, in whose multiples those beyond their budget are served again: all at once, so that the
/// server sleeps in between.
const RELEASES: u64 = 10_000_000;

/// Nanoseconds after which connections that could not go on, and the rings of those that were active lately, are looked
/// at again.
const RETRY: u64 = 1_000_000_000;

/// Events that are dropped in one go because they have waited too long.
const DROPPED: u32 = 64;

/// Nanoseconds after which a ring is looked at again where a request was found that no event has told of yet. Who writes
/// one may be kept from running before it can tell.
const GRACE: u64 = 250_000_000;

impl<P: Platform> Server<P> {
    /// Serves until no work is left. Returns when it wants to be called again even if no event comes.
    pub fn poll(&mut self, platform: &mut P) -> Option<Instant> {
        self.core.changes = self.core.store.collected.number + 1;
        let slept = self.core.clock.latest;
        if self.look_at_the_clock(platform) && !self.core.updates.active {
            // Nothing is to be told of that.
            self.core.clock.latest = slept;
            return self.next_wake_up();
        }
        self.core.recorder.counters.polls += 1;
        self.core.store.trace.end_pause(self.core.clock.now);
        let amount = self.core.clock.latest.since(slept);
        self.core.record(Record { amount, ..Record::new(Kind::WokeUp, DomId::INVALID) });
        loop {
            self.look_for_turns(platform);
            while let Some(turn) = self.links.schedule.next_turn(self.core.clock.latest) {
                self.take_turn(platform, turn);
                if self.links.schedule.has_ready() {
                    self.look_at_others(platform, turn.id);
                } else {
                    self.look_for_turns(platform);
                    // Who is ready again before its turn is over delays nothing either.
                    if self.links.schedule.has_ready() {
                        self.look_around(platform, turn.id, false);
                    }
                }
                if self.core.updates.due {
                    break;
                }
            }
            self.core.told = 0;
            let more = self.go_on(platform);
            self.look_at_memory(platform);
            let more = self.notify_idle(platform) || more;
            if !self.links.schedule.has_ready() || self.core.updates.due {
                if more {
                    continue;
                }
                if self.core.updates.due {
                    self.notify_all(platform);
                }
                break;
            }
            // The time of the notifications is no request's.
            self.core.clock.latest = platform.cycles();
        }
        self.next_wake_up()
    }

    /// Looks whether more memory is wanted, and whether something can take over.
    #[inline(always)] // In each round.
    fn look_at_memory(&mut self, platform: &mut P) {
        if self.core.growth.is_look_due(self.core.store.present_attempt().latest()) {
            self.look_at_room();
        }
        if self.core.updates.active {
            self.look_at_updates(platform);
        }
    }

    /// When the server wants to be called though no event comes.
    fn next_wake_up(&self) -> Option<Instant> {
        let schedule = &self.links.schedule;
        let look = (schedule.has_waiting() || schedule.has_active()).then(|| self.next_look());
        if self.core.updates.active { look.into_iter().chain(self.update_deadline()).min() } else { look }
    }

    /// When waiting connections are looked at. Not at each wake-up, since they must not add to its cost.
    fn next_look(&self) -> Instant {
        self.core
            .throttle
            .next_release()
            .map_or(self.core.clock.next_retry, |release| release.min(self.core.clock.next_retry))
    }

    /// True if it was the clock alone that has woken the server, and there is nothing to do.
    #[inline(always)] // At every wake-up.
    fn look_at_the_clock(&mut self, platform: &mut P) -> bool {
        self.core.clock.latest = platform.cycles();
        self.core.clock.now = platform.instant(self.core.clock.latest);
        self.core.clock.now >= self.next_look() && self.let_pass(platform)
    }

    /// Does what time makes due. The result is [`Server::look_at_the_clock`]'s.
    #[inline(never)]
    fn let_pass(&mut self, platform: &mut P) -> bool {
        // Whom an event tells of now is ready, and has nothing missed.
        self.look_for_turns_amid(platform);
        if self.core.clock.now >= self.core.clock.next_retry {
            self.look_at_rings();
            let second = platform.khz().saturating_mul(1000);
            let quantum = u32::try_from(second / TURNS_A_SECOND).unwrap_or(u32::MAX);
            self.links.schedule.set_pace(Pace { quantum, second, budget: self.core.settings.budget });
        }
        self.expire();
        !self.links.schedule.has_ready() && !self.links.schedule.has_to_notify() && !self.has_more_to_do()
    }

    /// Serves requests that nobody has told of, see `connection::active`.
    fn look_at_rings(&mut self) {
        let mut n = 0;
        while let Some(id) = self.links.next_missed(&mut n, self.aside.whose()) {
            self.links.schedule.ready(id);
            let domid = self.core.store.domains.get(id).domid;
            self.core.note_of_domain(Kind::Missed, domid, 0);
            self.core.recorder.counters.missed += 1;
            if let Some(tally) = self.core.recorder.domain_mut(id.index()) {
                tally.missed = tally.missed.wrapping_add(1);
            }
        }
        self.core.recorder.counters.looks += 1;
        let pause = if self.links.schedule.suspects() { GRACE } else { RETRY };
        self.core.clock.next_retry = self.core.clock.now.after_nanoseconds(pause);
    }

    /// Lists those as ready who have their turns from now on.
    #[inline(always)] // Before each turn and after it.
    fn look_for_turns(&mut self, platform: &mut P) {
        self.take_events(platform);
        if self.core.throttle.has_eased() {
            self.release_held();
        }
    }

    /// The same, where more is done.
    #[cold]
    #[inline(never)]
    fn look_for_turns_amid(&mut self, platform: &mut P) {
        self.look_for_turns(platform);
    }

    #[inline(always)] // As above.
    fn take_events(&mut self, platform: &mut P) {
        while let Some(event) = platform.take_pending() {
            match event {
                Event::Ring(port) => {
                    if let Some(id) = self.links.port_owner(port) {
                        self.links.schedule.wake(id);
                    }
                }
                Event::DomainStates => {
                    self.core.news = self.core.news.and_more();
                    self.observe_domains(platform);
                }
            }
        }
    }

    /// One turn of one connection, which pays for it.
    #[inline(always)] // Its only use.
    fn take_turn(&mut self, platform: &mut P, Turn { id, hindered }: Turn) {
        let begun = self.core.clock.latest;
        if hindered && !self.is_open(platform, id) {
            return;
        }
        let more = self.serve(platform, id, begun);
        self.charge_turn(platform, id, begun, hindered);
        if more {
            self.links.schedule.ready(id);
        }
    }

    /// After a turn of `id`, while others wait for theirs.
    #[cold]
    #[inline(never)]
    fn look_at_others(&mut self, platform: &mut P, id: DomainId) {
        let urgent = self.links.schedule.is_urgent(id);
        self.look_around(platform, id, urgent);
    }

    /// After a turn of `id`, while some are ready. Endless input does not delay what waits for time to pass. `urgent`: its
    /// peer is to run at once.
    #[cold]
    #[inline(never)]
    fn look_around(&mut self, platform: &mut P, id: DomainId, urgent: bool) {
        if urgent {
            self.notify_urgent(platform);
            // The answer is not worth much before its receiver runs.
            platform.give_way();
        }
        if self.links.schedule.is_pass_due() {
            self.notify_amid(platform);
        }
        let ends_round = self.links.schedule.ends_round(id);
        if ends_round {
            self.core.told = 0;
            self.look_at_memory(platform);
        }
        // Who asks now does not wait for what is under way, and who waits for that does not wait for all who look meanwhile.
        self.look_for_turns_amid(platform);
        if self.links.schedule.is_slice_due(ends_round) && self.has_more_to_do() {
            self.take_slice(platform);
            self.look_for_turns_amid(platform);
        }
        self.look_at_the_clock(platform);
    }

    /// A connection pays for a turn, or what it has caused. Of a turn within which Xen had others run, it pays for what has come
    /// since.
    #[inline(always)] // At every turn.
    fn charge_turn(&mut self, platform: &P, id: DomainId, begun: Cycles, hindered: bool) {
        let mut cycles = self.core.clock.latest.0.wrapping_sub(begun.0);
        if cycles > u64::from(self.links.schedule.quantum() / 3) {
            cycles = self.cycles_of_its_own(platform, id, cycles);
        }
        if self.links.schedule.end_turn(id, cycles) || hindered {
            self.settle(id, cycles);
        }
    }

    /// Of a turn of so many cycles, those that are charged. Few ordinary turns take as long. The privileged have no budget.
    #[cold]
    #[inline(never)]
    fn cycles_of_its_own(&self, platform: &P, id: DomainId, cycles: u64) -> u64 {
        if self.core.is_privileged(id) { cycles } else { cycles.min(platform.running_for()) }
    }

    /// The same, for what is no ordinary turn.
    #[inline(never)]
    pub(super) fn charge_late(&mut self, platform: &P, id: DomainId, begun: Cycles, hindered: bool) {
        self.charge_turn(platform, id, begun, hindered);
    }

    /// Looks at all that a connection has used, of which so many cycles in one go.
    #[cold]
    #[inline(never)]
    fn settle(&mut self, id: DomainId, cycles: u64) {
        let class = self.core.class_of(id);
        self.links.schedule.settle(id, class, cycles, self.core.clock.latest);
    }

    /// Serves a connection for a turn. True if it has more to do.
    #[inline(never)] // So that requests of one turn have one set of registers.
    fn serve(&mut self, platform: &mut P, id: DomainId, since: Cycles) -> bool {
        if !self.may_have_turn(platform, id)
            || self.reconnects(platform, id)
            || (self.links.has_output(id) && !self.send_waiting(platform, id))
        {
            return false;
        }
        let begun = self.core.store.present_attempt().latest();
        for _ in 0..TURN {
            if !self.serve_one(platform, id) {
                return false;
            }
            let attempts = self.core.store.present_attempt().latest() - begun;
            if attempts > ATTEMPTS
                || self.core.store.intents.may_have_some()
                || self.core.clock.latest.0.saturating_sub(since.0) >= self.links.schedule.quantum().into()
            {
                break;
            }
        }
        true
    }

    /// Whether requests are served in a turn that is not an ordinary one. If not, all else is.
    #[cold]
    #[inline(never)]
    fn is_open(&mut self, platform: &mut P, id: DomainId) -> bool {
        let khz = platform.khz();
        match self.links.schedule.hindrance(id, self.core.clock.latest) {
            Hindrance::Owes => self.links.schedule.ready(id),
            Hindrance::Throttled(left) => {
                self.links.note_throttled(id);
                self.set_mask(platform, id);
                // Who is not heard may begin to read what waits.
                let unheard = self.links.has_output(id) && self.links.is_masked(id);
                let left = if unheard { 0 } else { left };
                let nanoseconds = left.saturating_mul(1000) / (khz / 1000).max(1);
                let then = self.core.clock.now.after_nanoseconds(nanoseconds).0;
                self.core.throttle.look_at(Instant(then.saturating_add(RELEASES - then % RELEASES)));
                self.links.schedule.wait(id);
                let begun = self.core.clock.latest;
                // To be reset costs, too. What it has not read is dropped then, so it is not sent before.
                if self.may_have_turn(platform, id)
                    && !self.asks_to_reconnect(id)
                    && self.links.has_output(id)
                    && self.send_waiting(platform, id)
                {
                    if !self.links.has_output(id) {
                        self.links.note_throttled(id);
                        self.set_mask(platform, id);
                    }
                    self.charge_late(platform, id, begun, true);
                }
            }
            Hindrance::Over(cycles) => {
                self.set_mask(platform, id);
                if cycles > 0 {
                    self.note_wait(id, Stall::Budget, cycles, khz);
                }
                return true;
            }
        }
        false
    }

    /// Has a connection's peer wake the server or not. Its ring is to be looked at afterwards.
    #[cold]
    #[inline(never)]
    fn set_mask(&self, platform: &mut P, id: DomainId) {
        let Some(port) = self.links.get(id).and_then(|connection| connection.port) else { return };
        // A reset waits for the budget, too.
        let resets = self.links.is_throttled(id) && self.asks_to_reconnect(id);
        if resets || self.links.is_masked(id) { platform.mask(port) } else { platform.unmask(port) }
    }

    /// Lists a connection that cannot go on, to be looked at again when time has passed.
    #[cold]
    #[inline(never)]
    pub(super) fn stall(&mut self, id: DomainId, why: Stall) {
        self.links.schedule.wait(id);
        self.note_stall(id, why);
    }

    /// Records that a connection has to wait, once until it goes on.
    fn note_stall(&mut self, id: DomainId, why: Stall) {
        if self.links.schedule.stall(id) {
            self.note_wait(id, why, 0, 1);
        }
    }

    /// Records that a connection has to wait, or has waited because it was beyond its budget, for so many cycles, of
    /// which a millisecond has `khz`.
    #[cold]
    #[inline(never)]
    fn note_wait(&mut self, id: DomainId, why: Stall, cycles: u64, khz: u64) {
        let domid = self.core.store.domains.get(id).domid;
        let amount = u32::try_from(cycles).unwrap_or(u32::MAX);
        self.core.note(Record { detail: why as u8, amount, ..Record::new(Kind::Stalled, domid) });
        if let Some(tally) = self.core.recorder.domain_mut(id.index()) {
            tally.stalls = tally.stalls.wrapping_add(1);
            let milliseconds = cycles.wrapping_add(khz / 2).checked_div(khz).unwrap_or(0);
            tally.throttled = tally.throttled.wrapping_add(milliseconds as u32);
        }
    }

    /// Notifies those who come before guests.
    #[cold]
    #[inline(never)]
    fn notify_urgent(&mut self, platform: &mut P) {
        let mut pass = Pass::urgent();
        while let Some(id) = self.links.schedule.next_idle(&mut pass) {
            self.notify_one(platform, id);
        }
        self.links.schedule.end_pass(&pass);
    }

    /// Notifies all, whatever they have to do, and has all wake who serves them: who takes over does not know whom.
    #[cold]
    #[inline(never)]
    fn notify_all(&mut self, platform: &mut P) {
        while let Some(id) = self.links.schedule.take_to_notify() {
            self.notify_one(platform, id);
        }
        self.links.iter().filter_map(|link| link.port).for_each(|port| platform.unmask(port));
    }

    /// Notifies those peers whose connection has nothing more to do: one notification for a whole burst. True if there is more to
    /// do now: a domain may have died while several were notified.
    #[inline(always)] // Once in each wake-up.
    fn notify_idle(&mut self, platform: &mut P) -> bool {
        match self.links.schedule.take_only_idle() {
            Some(id) => {
                self.notify(platform, id);
                false
            }
            None => {
                self.notify_amid(platform);
                self.has_more_to_do() && self.core.news_due.is_none()
            }
        }
    }

    /// The same while others are ready, or where several peers may be notified. Looks for events after each, since its receiver
    /// may have had the processor.
    #[cold]
    #[inline(never)]
    pub(super) fn notify_amid(&mut self, platform: &mut P) {
        if self.links.schedule.has_several_to_notify() {
            self.notify_urgent(platform);
        }
        let mut pass = Pass::default();
        while let Some(id) = self.links.schedule.next_idle(&mut pass) {
            self.notify_one(platform, id);
            if !self.links.schedule.has_more(&pass) {
                break;
            }
            self.look_for_turns_amid(platform);
        }
        self.links.schedule.end_pass(&pass);
    }

    /// The same as [`Server::notify`], of one among several.
    #[cold]
    #[inline(never)]
    fn notify_one(&mut self, platform: &mut P, id: DomainId) {
        self.notify(platform, id);
    }

    /// Notifies the peer of a connection that has nothing more to do.
    ///
    /// Then looks at its ring once more, for requests and for room, see [`ring::Patience`].
    #[inline(always)] // At each wake-up.
    fn notify(&mut self, platform: &mut P, id: DomainId) {
        let Some(connection) = self.links.get(id) else { return };
        let port = connection.port;
        if let Some(port) = port {
            platform.notify(port);
        }
        let waits = self.links.has_output(id);
        if waits {
            self.set_mask(platform, id);
        }
        let asks = ring::input(&connection.ring).is_ok_and(|input| input.len > 0);
        let has_room = || ring::output(&connection.ring).is_ok_and(|output| output.room > 0);
        if asks || (waits && has_room()) {
            self.links.schedule.ready(id);
        }
        if port.is_some() {
            self.core.record(Record::new(Kind::Notified, self.core.store.domains.get(id).domid));
        }
    }

    /// Drops events that have waited too long, and lists waiting connections as ready. If they are many, it is to be called
    /// again at once, after others' turns.
    fn expire(&mut self) {
        self.core.throttle.release();
        let mut left = DROPPED;
        for _ in 0..self.links.schedule.waiting() {
            let Some(id) = self.links.schedule.take_waiting() else { break };
            while left > 0
                && let Some(late) = self.links.drop_late(&mut self.core.store, id, self.core.clock.now)
            {
                self.core.note_given_up(id, &late);
                left -= 1;
            }
            if left == 0 {
                self.links.schedule.wait(id);
                self.core.throttle.look_at(self.core.clock.now);
                break;
            }
            if self.links.has_output(id) {
                self.note_stall(id, Stall::RingFull);
                self.links.note_look(id);
            }
            self.links.schedule.ready(id);
        }
    }

    /// Lists held guests as ready: a transaction has ended for which they were held.
    #[cold]
    #[inline(never)]
    fn release_held(&mut self) {
        for n in 0..self.links.schedule.waiting() {
            let Some(id) = self.links.schedule.nth_waiting(n) else { break };
            self.links.schedule.ready(id);
        }
    }
}
