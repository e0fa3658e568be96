//! A server's state as a stream of bytes, and a server made from one, see [`state`](crate::state).

use super::Server;
use super::core::{Core, News};
use crate::abi::DomId;
use crate::cmdline::{self, Options};
use crate::connection::Links;
use crate::platform::Platform;
use crate::slots::Full;
use crate::state::{self, Adopt, Places, Sink, Source, State, StateError};

impl Core {
    /// What is to be written with these connections, in this version.
    pub fn state<'a, R>(&'a self, links: &'a Links<R>, version: u32) -> State<'a, R> {
        let Core { store, settings, own, clock, recorder, .. } = self;
        State { store, links, settings, own: *own, now: clock.now, recorder, version }
    }
}

impl<P: Platform> Server<P> {
    /// Writes all that the server holds, but for open transactions, as a stream of this version, one of
    /// [`state::VERSIONS`]. Nothing changes. [`Full`] if the sink has no room; a [`Length`](state::Length) tells how much is
    /// wanted. To be called between polls.
    pub fn save(&self, version: u32, sink: &mut dyn Sink) -> Result<(), Full> {
        self.core.state(&self.links, version).save(sink)
    }

    /// Writes the part of a state that [`Sink::insert_nodes`] may insert for as long as [`Server::moment`] is the same.
    pub fn save_nodes(&self, sink: &mut dyn Sink) -> Result<usize, Full> {
        state::save_nodes(&self.core.store, sink)
    }

    /// A number that is another one after each change of a node, of a permission list or of who lives.
    pub fn moment(&self) -> u64 {
        self.core.store.moment()
    }

    /// Fills this server, which must be new, from a state, in the place of `start` and `start_own`. The quotas are those of
    /// the state, all other settings stay. `adopt` hands over each connection's ring and local port. Nothing outside changes,
    /// no ring is touched and nobody is notified: a state that is refused leaves all as it was, but for this server, which is
    /// of no use any more. After it, `resume` must be called.
    pub fn restore(
        &mut self,
        platform: &mut P,
        priv_domid: DomId,
        source: &mut dyn Source,
        adopt: &mut Adopt<'_, P::Ring>,
    ) -> Result<(), StateError> {
        let Server { core, links, .. } = self;
        core.clock.latest = platform.cycles();
        core.clock.now = platform.instant(core.clock.latest);
        let refused = |reason| StateError { record: StateError::HEADER, offset: 0, reason };
        core.store
            .admit(priv_domid, 0, core.settings.quotas)
            .map_err(|_| refused("there is no room for a domain"))?;
        let places = Places {
            settings: &mut core.settings,
            own: &mut core.own,
            now: core.clock.now,
            recorder: &mut core.recorder,
        };
        state::restore(&mut core.store, links, places, source, adopt)
    }

    /// Has the quotas for domains to come be as a command line names them; what it does not name stays.
    pub fn take_quotas_of(&mut self, line: &[u8]) {
        let settings = &mut self.core.settings;
        let present = Options { settings: *settings, ..Options::DEFAULT };
        settings.quotas = cmdline::parse_onto(present, line, &mut |_| {}).settings.quotas;
    }

    /// Goes on with a state that was restored: looks at each domain, for those that have died or shut down meanwhile, and at
    /// each ring. Nobody is notified of that: who was to be was before the state was saved, as `poll` ends so. After it,
    /// `poll` must be called.
    pub fn resume(&mut self, platform: &mut P) {
        self.finish(platform);
        self.core.news = News::ALL;
        self.have_all_looked_at(false);
    }
}
