//! The domains' names, each asked for once.

use std::collections::BTreeMap;

use xenstore::wire::MessageType;

use crate::problem::Problem;
use crate::store::Store;

#[derive(Default)]
pub struct Names(pub BTreeMap<u16, String>);

impl Names {
    /// Reads those that are not known yet; a domain that has none may get one later.
    ///
    /// # Errors
    /// If the store does not answer. That it has no such node, or none for us, is an answer.
    pub fn learn(&mut self, store: &mut Store, domids: impl Iterator<Item = u16>) -> Result<(), Problem> {
        for domid in domids {
            if self.0.contains_key(&domid) {
                continue;
            }
            let path = format!("/local/domain/{domid}/name\0");
            match store.request(MessageType::Read, path.as_bytes()) {
                Ok(name) => {
                    let name = String::from_utf8_lossy(&name);
                    self.0.insert(domid, name.chars().filter(|letter| !letter.is_control()).collect());
                }
                Err(Problem::Refused { .. }) => {}
                Err(lost) => return Err(lost),
            }
        }
        Ok(())
    }

    /// Forgets the names of domains that are gone, as another may get the number.
    pub fn keep(&mut self, is_there: impl Fn(u16) -> bool) {
        self.0.retain(|domid, _| is_there(*domid));
    }
}
