//! A server under comparison, as the machine below it sees it.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use crate::page::Page;
use crate::step::Life;

/// The beginning of the report of a server that runs on, but never becomes idle.
pub const HANGS: &str = "does not get quiet";

/// A server that does not answer any more, and the reason as far as known.
#[derive(Clone, Debug)]
pub struct Gone(pub String);

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One running server and the machine it believes to run on. dom0 exists and is introduced from the start.
pub trait Peer {
    /// The domain's present page; dom0 and domains that were built have one.
    fn page(&self, domid: u16) -> Option<Rc<dyn Page>>;
    /// Changes what the hypervisor says of a domain; [`Life::Built`] gives it a new page.
    fn set_life(&mut self, domid: u16, life: Life);
    /// An event on the channel between the domain and the server.
    fn kick(&mut self, domid: u16);
    /// VIRQ_DOM_EXC.
    fn virq(&mut self);
    fn wait(&mut self, milliseconds: u32);
    /// Lets the server run until it has nothing left to do.
    fn settle(&mut self) -> Result<(), Gone>;
    /// Lets the time pass until the server's timer, if it has set one.
    fn rest(&mut self) -> bool {
        false
    }
    /// How often the server has notified the domain.
    fn notices(&self, domid: u16) -> u32;
    /// The server's clock in milliseconds, for peers that skip sleeps.
    fn clock(&self) -> u32;
    /// Its state as a stream; of a daemon that of its latest live update.
    fn state(&self) -> Result<Vec<u8>, Gone> {
        Err(Gone("has no state".to_string()))
    }
    /// The program for a live update, which goes on from its own state, or from this one; none if there is no live update.
    fn update_with(&mut self, _state: Option<&[u8]>) -> Option<PathBuf> {
        None
    }
    /// A server made from this state takes its place.
    fn replace(&mut self, _state: &[u8]) -> Result<(), Gone> {
        Err(Gone("takes no state".to_string()))
    }
    /// Findings of the server's own check, if it has one.
    fn check(&self) -> Vec<String> {
        Vec::new()
    }
}
