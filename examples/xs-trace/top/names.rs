//! The domains' names. Asked for once, and now and then anew; a domain without one may be young, so a few times, but not for
//! ever, as each is a failed request in the store's own statistics.

use std::collections::BTreeMap;

use xenstore::wire::MessageType;

use store_client::Problem;
use store_client::Store;

/// How often a domain without a name is asked for it.
const TRIES: u8 = 3;

#[derive(Default)]
pub struct Names {
    pub known: BTreeMap<u16, String>,
    /// How often those without a name have been asked.
    tried: BTreeMap<u16, u8>,
    /// The domain that was asked for its name anew last.
    renewed: u16,
}

impl Names {
    /// Reads those that are not known yet.
    ///
    /// # Errors
    /// If the store does not answer. That it has no such node, or none for us, is an answer.
    pub fn learn(&mut self, store: &mut Store, domids: impl Iterator<Item = u16>) -> Result<(), Problem> {
        for domid in domids {
            let tries = self.tried.get(&domid).copied().unwrap_or(0);
            if tries == TRIES || self.known.contains_key(&domid) {
                continue;
            }
            let path = format!("/local/domain/{domid}/name\0");
            match store.request(MessageType::Read, path.as_bytes()) {
                Ok(name) => {
                    self.tried.remove(&domid);
                    self.known.insert(domid, name.escape_ascii().to_string());
                }
                Err(Problem::Refused { .. }) => drop(self.tried.insert(domid, tries + 1)),
                Err(lost) => return Err(lost),
            }
        }
        Ok(())
    }

    /// Reads one of the known ones anew, each in its turn: who comes from another host has its name only at the end of that, and
    /// `xl rename` gives another.
    ///
    /// # Errors
    /// As those of [`Names::learn`].
    pub fn renew(&mut self, store: &mut Store) -> Result<(), Problem> {
        let known = || self.known.keys().copied();
        let Some(domid) = known().find(|domid| *domid > self.renewed).or_else(|| known().next()) else {
            return Ok(());
        };
        self.renewed = domid;
        self.known.remove(&domid);
        self.learn(store, [domid].into_iter())
    }

    /// Forgets domains that are gone, as another may get the number.
    pub fn keep(&mut self, is_there: impl Fn(u16) -> bool) {
        self.known.retain(|domid, _| is_there(*domid));
        self.tried.retain(|domid, _| is_there(*domid));
    }
}
