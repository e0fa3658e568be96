//! What follows the decision of a request and takes connections: work whose events are sent as it is done, domains
//! that come and go at a toolstack's word, and the check of everything.

use super::Server;
use super::check::check;
use super::context::Outcome;
use super::core::Deed;
use super::handlers::control;
use crate::abi::{DomId, Port};
use crate::path::{Path, PathBuf};
use crate::platform::Platform;
use crate::store::{Mark, NodeId, TransactionId};
use crate::trace::Kind;
use crate::wire::XsError;

impl<P: Platform> Server<P> {
    /// Does what a request has decided. The result is its answer.
    #[inline(never)] // Few requests leave anything.
    pub(super) fn carry_out(&mut self, platform: &mut P) -> Result<Outcome, XsError> {
        let Some(deed) = self.core.deed.take() else { return Ok(Outcome::Ok) };
        match deed {
            Deed::Remove(top) => self.remove_tree(top, true)?,
            Deed::Announce(tx) => self.announce(tx)?,
            Deed::Introduce(domid, port) => self.introduce(platform, domid, port)?,
            Deed::Release(id) => self.destroy(platform, id),
            Deed::Check => {
                let Server { core, links, exchange } = self;
                return control::answer_findings(&mut exchange.reply, |report| check(core, links, report));
            }
        }
        Ok(Outcome::Ok)
    }

    /// Removes a node and all below it, deepest first, each with its event. `told` says that the event of a topmost with
    /// nothing below it has been sent.
    pub(super) fn remove_tree(&mut self, top: NodeId, told: bool) -> Result<(), XsError> {
        let mut buf = PathBuf::new();
        let first = self.core.store.first_leaf(top);
        let mut next = Some(first);
        while let Some(at) = next {
            let store = &mut self.core.store;
            next = store.next_in_postorder(top, at);
            // Most nodes are watched by nobody, and finding out their path takes longer than removing them.
            let is_told = told && at == top && at == first;
            if !is_told && (at == top || store.is_watched(at)) {
                let path = store.path_of(at, &mut buf)?;
                // The store will not know what it was called.
                store.names.note(store.node(at).hash, path.as_bytes());
                self.core.collect_for_removal(at, path, at == top);
                self.send_collected();
            }
            self.core.store.remove_leaf(at)?;
        }
        Ok(())
    }

    /// Sends the events of a transaction that has been applied, in order of first touch, and ends it.
    fn announce(&mut self, tx: TransactionId) -> Result<(), XsError> {
        let mut buf = PathBuf::new();
        let mut next = self.core.store.transactions.open.get(tx).touched.first();
        while let Some(id) = next {
            let store = &self.core.store;
            let copy = store.transactions.nodes.get(id);
            next = copy.next_touched();
            let Some(change) = copy.fires else { continue };
            copy.path.append_cleared(&store.blobs, &mut buf)?;
            let path = Path::from_canonical(&buf);
            let old = copy.seen_acl.filter(|_| copy.mark.contains(Mark::EXISTED));
            if copy.mark.contains(Mark::EXISTS) {
                let Some(id) = store.lookup_hashed(path, copy.path_hash()) else { continue };
                self.core.collect_for_node(id, path, change, old);
            } else if copy.mark.contains(Mark::EXISTED) {
                self.core.collect(path, None, change, &[old]);
            }
            self.send_collected();
        }
        self.core.end_transaction(tx, Kind::TransactionCommitted)
    }

    /// Starts to serve a domain, or starts afresh.
    fn introduce(&mut self, platform: &mut P, domid: DomId, port: Port) -> Result<(), XsError> {
        self.bury_predecessor(platform, domid);
        let id = self.core.know(platform, domid).ok_or(XsError::EINVAL)?;
        if self.links.has(id) {
            self.rebind(platform, id, domid, port);
            self.drop_session(id);
            self.core.note_of_domain(Kind::Restarted, domid, 0);
        } else {
            self.connect(platform, id, domid, port)?;
            self.fire_special(Path::INTRODUCE_DOMAIN, None);
            self.fire_special(Path::INTRODUCE_DOMAIN, Some(domid));
        }
        self.links.restart(id);
        Ok(())
    }

    /// If the number now means another domain than the one on record, that one is gone.
    fn bury_predecessor(&mut self, platform: &mut P, domid: DomId) {
        let Some(id) = self.core.store.domains.find(domid) else { return };
        let known = self.core.store.domains.get(id).unique_id;
        let now = platform.state(domid).map(|state| state.unique_id);
        if known != 0 && now != Some(known) {
            self.destroy(platform, id);
        }
    }
}
