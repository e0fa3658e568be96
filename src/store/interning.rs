//! Permission lists as what their owners have: they count for the owner from their first use until the end of the attempt
//! that leaves them unheld.

use super::Store;
use super::acl::AclId;
use super::share::Share;
use crate::slots::Full;

impl Store {
    /// The one list with the entries of `list`, held once more. In an attempt.
    pub fn intern(&mut self) -> Result<AclId, Full> {
        let (id, new) = self.acls.intern(&self.key, &mut self.blobs, self.list.as_bytes())?;
        let acl = self.acls.table().get(id);
        let (owner, spilled) = (self.domains.owner(acl.owner).filter(|_| new), acl.spilled());
        if let Some(owner) = owner {
            self.take(owner, Share::Acls, 1)?;
            self.move_chunks(owner, 0, spilled)?;
        }
        Ok(id)
    }

    /// The last step of an attempt: removes the lists that it leaves unheld.
    #[inline(always)] // Of most there are none.
    pub(super) fn remove_unheld(&mut self) -> Result<(), Full> {
        while self.acls.has_unheld() {
            self.remove_an_unheld()?;
        }
        Ok(())
    }

    #[inline(never)]
    fn remove_an_unheld(&mut self) -> Result<(), Full> {
        let Some(acl) = self.acls.remove_unheld(&mut self.blobs)? else { return Ok(()) };
        // The owner may be gone, and a transaction have held the list for longer.
        if let Some(owner) = self.domains.owner(acl.owner) {
            self.give(owner, Share::Acls, 1)?;
            self.move_chunks(owner, acl.spilled(), 0)?;
        }
        Ok(())
    }
}
