//! The arguments of a handler, and its result.
//!
//! Plain parameters and results, so their fields are open.

use super::core::{Core, Deed};
use crate::connection::Roster;
use crate::path::{PathBuf, Special};
use crate::platform::Platform;
use crate::store::{Answer, DomainId, Subject, View};
use crate::wire::{Header, XsError};

/// What a request is decided on. Of the connections it shows only which exist and what waits, so nothing is sent before
/// the decision.
pub struct Context<'a, P: Platform> {
    pub core: &'a mut Core,
    pub platform: &'a mut P,
    pub roster: Roster<'a, P::Ring>,
}

/// A request that has passed the table's checks.
pub struct Request<'a> {
    pub header: Header,
    pub payload: &'a [u8],
    pub from: DomainId,
    pub view: View,
}

impl<P: Platform> Context<'_, P> {
    /// Leaves the rest of the request to the server, which has the connections.
    pub fn leave(&mut self, deed: Deed) -> Result<Outcome, XsError> {
        self.core.deed = Some(deed);
        Ok(Outcome::Then)
    }
}

impl Request<'_> {
    /// What the request is about.
    pub fn subject<'a>(
        &self,
        core: &mut Core,
        input: &'a [u8],
        special: Special,
        buf: &'a mut PathBuf,
    ) -> Result<Subject<'a>, XsError> {
        let View { caller, quotas, .. } = self.view;
        let max = (!caller.is_privileged() && quotas.path_max != 0).then_some(quotas.path_max);
        let hash = match core.store.subject_lately(input, max) {
            Ok(subject) => {
                if !caller.is_privileged() {
                    core.store.note_length(subject);
                }
                return Ok(subject);
            }
            Err(hash) => hash,
        };
        let subject = core.store.subject(input, caller.domid, max, special, buf, hash)?;
        if !caller.is_privileged() {
            core.store.note_length(subject);
        }
        Ok(subject)
    }
}

/// The result of a handler.
pub enum Outcome {
    /// The request has been decided.
    Answer(Answer),
    /// The rest of the work is in [`Core::deed`].
    Then,
    /// The answer comes later.
    Later,
    /// The request is set aside.
    Aside,
}

impl Outcome {
    /// The answer is `OK`.
    pub const OK: Outcome = Outcome::Answer(Answer::Ok);
    /// The answer is in the reply buffer.
    pub const DATA: Outcome = Outcome::Answer(Answer::Data);
}
