//! A tiny guest for tests of a xenstore: a client, honest or hostile as its command line says.
//!
//! It boots under `xl create` on `src/image/`, which has all of its `unsafe`. [`options`] reads the command line,
//! [`roles`] is the table of what it can be, [`honest`], [`hostile`] and [`greedy`] are the roles, and [`client`]
//! is the one way to talk to the store. Once a second and at the end it tells on its console how far it is.
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod greedy;
mod honest;
mod hostile;
// The store's image uses more of it.
#[allow(dead_code)]
#[path = "../image/mod.rs"]
mod image;
#[path = "../image/guest.rs"]
mod machine;
mod options;
mod random;
mod roles;

use machine::{Machine, start};
use xenstore::abi::DomId;

use client::Client;
use options::Options;
use roles::Guest;

/// Called when the machine is ready.
fn run(machine: Machine, domid: DomId, line: &'static [u8]) -> ! {
    let options = Options::parse(line);
    Guest::new(Client::new(machine, options.die_after), domid, options).live()
}
