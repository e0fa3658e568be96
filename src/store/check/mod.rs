//! The consistency check of the store: recounts everything from the tree and the lists, and compares.
//!
//! It changes nothing, and goes through the store in small parts, see [`Walk`]. Each finding is one sentence.

mod domains;
mod nodes;
mod records;
mod walk;

pub use walk::{Held, Report, Walk, mark};

use domains::check_domains;
use nodes::{check_cache, check_nodes};
use records::{check_copies, check_paths, check_permission_lists, check_transactions};
use walk::Totals;

use super::Store;
use super::domain::DomainId;
use super::share::{Promise, Promises, Share};

impl Store {
    /// Goes on with a check by a part. `beside`: bytes that what waits for a domain takes. False if the store has been gone
    /// through.
    pub fn check_more(&self, walk: &mut Walk, beside: &dyn Fn(DomainId) -> u32, report: Report<'_>) -> bool {
        walk.work = 0;
        let done = match walk.pass {
            0 => check_nodes(self, walk, report),
            1 => check_cache(self, walk, report),
            2 => check_domains(self, walk, beside, report),
            3 => check_paths(self, walk, report),
            4 => check_transactions(self, walk, report),
            5 => check_copies(self, walk),
            6 => check_permission_lists(self, walk, report),
            _ => return false,
        };
        if done {
            walk.go_on();
        }
        if walk.pass == Walk::PASSES {
            self.compare(&walk.totals, report);
        }
        true
    }

    /// Compares what has been found in all with what is in use.
    fn compare(&self, totals: &Totals, report: Report<'_>) {
        let (store, nodes) = (self, self.nodes.arena().used());
        let [owned, watches, transactions] = totals.owned;
        for (what, counted, used) in [
            ("nodes are indexed", totals.nodes, nodes),
            ("nodes belong to domains", owned + totals.gone, nodes),
            ("watches belong to domains", watches, store.watches.arena.used()),
            ("watched paths are indexed", totals.paths, store.watches.paths.arena().used()),
            ("transactions are known", transactions + totals.ended, store.transactions.open.arena().used()),
            ("copies belong to transactions", totals.listed, store.transactions.nodes.arena().used()),
            ("copies are indexed", totals.copies, store.transactions.nodes.arena().used()),
            ("permission lists are indexed", totals.lists, store.acls.table().arena().used()),
            ("domains are known", store.domains.iter().count() as u32, store.domains.table().arena().used()),
        ] {
            if counted != used {
                report(format_args!("{counted} {what} but {used} are in use"));
            }
        }
        if totals.holds != totals.counts {
            report(format_args!("permission lists are not held as often as they count"));
        }
    }

    /// Compares what domains count with what has been found of each kind, and recounts the promises.
    pub fn check_shares(&self, held: &Held, report: Report<'_>) {
        let (mut counted, mut promised) = (Held::default(), Promises::default());
        for (id, _) in self.domains.iter() {
            let usage = &self.held.of(id).usage;
            for (kind, promised) in Share::ALL.into_iter().zip(&mut promised) {
                counted.add(self, id, kind, usage.held(kind));
                *promised = promised.shifted(Promise::default(), Promise::to(usage, kind));
            }
        }
        for (n, kind) in Share::ALL.into_iter().enumerate() {
            // The others are compared domain by domain.
            let hidden = !matches!(kind, Share::Nodes | Share::Watches);
            if hidden && counted.0.get(n) != held.0.get(n) {
                report(format_args!("the {kind:?} that domains count are not those that they have"));
            }
            if promised.get(n) != self.promises.get().get(n) {
                report(format_args!("the {kind:?} that are promised are not those that guests lack"));
            }
        }
    }
}
