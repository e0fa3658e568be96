//! The arguments of a handler, and its result.
//!
//! Plain parameters and results, so their fields are open.

use super::core::{Core, Deed};
use crate::connection::Roster;
use crate::path::{PathBuf, Special};
use crate::perms::Access;
use crate::platform::Platform;
use crate::store::{Answer, DomainId, Place, Subject, View};
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
        self.subject_lately(core, input).or_else(|hash| self.subject_anew(core, input, special, buf, hash))
    }

    /// The node that the request is about, and nothing else: see [`Store::seek`](crate::store::Store::seek).
    #[inline(never)] // In several handlers, and long.
    pub fn place(
        &self,
        core: &mut Core,
        input: &[u8],
        special: Special,
        needed: Access,
    ) -> Result<Place, XsError> {
        match self.subject_lately(core, input) {
            Ok(subject) => core.store.seek_here(&self.view, subject, needed),
            Err(hash) => self.place_anew(core, input, special, needed, hash),
        }
    }

    /// Apart, so that only this needs room for a path.
    #[inline(never)]
    fn place_anew(
        &self,
        core: &mut Core,
        input: &[u8],
        special: Special,
        needed: Access,
        hash: Option<u64>,
    ) -> Result<Place, XsError> {
        let mut buf = PathBuf::new();
        let subject = self.subject_anew(core, input, special, &mut buf, hash)?;
        core.store.seek(&self.view, subject, needed)
    }

    /// What the request is about, if the path as sent was found lately; otherwise the path's hash, if it has been made.
    #[inline(always)] // The beginning of every request.
    fn subject_lately<'a>(&self, core: &mut Core, input: &'a [u8]) -> Result<Subject<'a>, Option<u64>> {
        let (max, longest) = self.path_lengths(core);
        let subject = core.store.subject_lately(input, max)?;
        self.note_length(core, subject, longest);
        Ok(subject)
    }

    #[inline(never)] // As `place`.
    fn subject_anew<'a>(
        &self,
        core: &mut Core,
        input: &'a [u8],
        special: Special,
        buf: &'a mut PathBuf,
        hash: Option<u64>,
    ) -> Result<Subject<'a>, XsError> {
        let (max, longest) = self.path_lengths(core);
        let subject = core.store.subject(input, self.view.caller.domid, max, special, buf, hash)?;
        self.note_length(core, subject, longest);
        Ok(subject)
    }

    /// The longest path that the client may name, and that it has named.
    #[inline(always)]
    fn path_lengths(&self, core: &Core) -> (Option<u32>, u32) {
        let domain = core.store.domains.get(self.from);
        let (max, longest) = (domain.quotas.path_max, domain.peak.path_max);
        ((!self.view.caller.is_privileged() && max != 0).then_some(max), longest)
    }

    #[inline(always)]
    fn note_length(&self, core: &mut Core, subject: Subject<'_>, longest: u32) {
        if !self.view.caller.is_privileged() {
            let len = core.store.length_of(subject);
            if len > longest as usize {
                core.store.note_length(len);
            }
        }
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
