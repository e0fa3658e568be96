//! Who comes first.

use super::core::Core;
use crate::connection::Class;
use crate::perms::Life;
use crate::store::DomainId;

impl Core {
    /// The class of a domain's connection. Guests wait for what a domain does that acts for one (SET_TARGET), as a device
    /// model does; only the privileged domain can say so.
    pub fn class_of(&self, id: DomainId) -> Class {
        let caller = self.store.domains.caller(id);
        if caller.is_privileged() {
            Class::Privileged
        } else if caller.target == Life::NONE {
            Class::Guest
        } else {
            Class::BackEnd
        }
    }
}
