//! A xenstore server as a library: protocol, store and connections. It does not know on what it runs.
//!
//! Layers, each using only what stands above it or before it in its row (`tests/tidy/` holds that):
//!
//! | module | what it is |
//! |---|---|
//! | [`abi`], [`words`], [`hash`], [`room`] | what Xen and guests share with us; bytes by words; keyed hashes; memory taken at boot |
//! | [`wire`], [`path`], [`perms`] | messages, paths and permissions as bytes and values |
//! | [`update`] | what an image must be to take this one's place |
//! | [`ring`], [`evtchn`], [`platform`] | one ring page, both directions; which event channels are pending; what we ask of Xen |
//! | [`quota`], [`config`], [`layout`], [`cmdline`] | the one table of quotas; limits and defaults; the image's RAM; the command line |
//! | [`slots`] | fixed storage: arenas, undo journal, hash chains, lists, byte strings |
//! | [`trace`] | the flight recorder |
//! | [`store`] | domains, the tree, watches, transactions, and the rules about them |
//! | [`connection`] | one domain's I/O, and what waits for it |
//! | [`state`] | all that a server holds as a stream of bytes, written and read |
//! | [`layers`] | images of parts of the store, laid over each other when it starts |
//! | [`server`] | loop, operation table, handlers, events, replies |
//! | [`client`], [`roles`], [`standalone`] | the other end of a ring; what guests of tests do with it; the store tries itself |
//!
//! The walk of a request: `Server::poll` takes the pending events and lists the connections that are ready.
//! `connection::input` copies one whole message out of a ring. `server::operations` checks type, privilege and
//! transaction and calls the handler, which decides and has no connections. The `store` checks path, rights and quotas
//! and changes in an attempt, which happens completely or not at all. `server::events` sends the watch events that the
//! change has collected, and `server::deeds` takes the steps that are left. Only when there is room for the reply, the
//! request is consumed, and `connection::output` writes the reply to the ring or queues it. One notification goes out
//! for the whole burst.
//!
//! A field is public where the struct is a plain value: each combination of its fields is valid, and so is each change
//! of one. Any other struct with public fields says why.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
#[macro_use]
extern crate std;

pub mod abi;
pub mod client;
pub mod cmdline;
pub mod config;
pub mod connection;
pub mod evtchn;
pub mod hash;
pub mod layers;
pub mod layout;
pub mod path;
pub mod perms;
pub mod platform;
pub mod quota;
pub mod ring;
pub mod roles;
pub mod room;
pub mod server;
pub mod slots;
pub mod standalone;
pub mod state;
pub mod store;
pub mod trace;
pub mod update;
pub mod wire;
pub mod words;
