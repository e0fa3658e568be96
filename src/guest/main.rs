//! A tiny guest for tests of a xenstore: a client, honest or hostile as its command line says.
//!
//! It boots under `xl create` on `src/image/`, which has all of its `unsafe`. [`options`] reads the command line,
//! [`life`] is what all guests share, [`xenstore::roles`] what they can be, and [`xenstore::client`] is the one way to
//! talk to the store. Once a second and at the end it prints its progress on its console.
#![no_std]
#![no_main]

extern crate alloc;

// A module of both programs and no crate, since it calls the `start` of the program that it is part of. The store's
// image uses more of it.
#[allow(dead_code)]
#[path = "../image/mod.rs"]
mod image;
mod life;
// All unsafe code is below src/image/, this part of it too.
#[path = "../image/guest.rs"]
mod machine;
mod options;

use core::str;

use machine::{Machine, start};
use xenstore::abi::DomId;
use xenstore::client::Client;

use life::Life;
use options::Options;

/// Called when the machine is ready. The command line is a role and its options, separated by blanks.
fn run(mut machine: Machine, domid: DomId, line: &'static [u8]) -> ! {
    let mut words = str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
    let role = life::named(words.next().unwrap_or("hello"));
    let options = Options::parse(words);
    machine.life = options.die_after;
    Life::new(Client::new(machine), domid, role, options).live()
}
