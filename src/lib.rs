//! A xenstore server as a library: protocol, store and connections, without any knowledge of how it is run.
//!
//! Layers, each using only what stands above it or before it in its row (`tests/tidy/` holds that):
//!
//! | module | what it is |
//! |---|---|
//! | [`abi`], [`words`], [`hash`] | what guests and Xen share with us; bytes by words; keyed hashes |
//! | [`wire`], [`path`], [`perms`] | messages, paths and permissions as bytes and values |
//! | [`ring`], [`evtchn`], [`platform`] | one ring page, both directions; which event channels have something; what we ask of Xen |
//! | [`quota`], [`config`], [`cmdline`] | the one table of quotas; limits and defaults; what the command line says of them |
//! | [`slots`] | fixed storage: arenas, undo journal, hash chains, lists, byte strings |
//! | [`trace`] | the flight recorder |
//! | [`store`] | domains, the tree, watches, transactions, and the rules about them |
//! | [`connection`] | one domain's I/O, and what waits for it |
//! | [`server`] | loop, operation table, handlers, events, replies |
//! | [`client`], [`standalone`] | the other end of a ring; the store tries itself |
//!
//! A request's way: `Server::poll` takes the pending events and lists the connections that are ready;
//! `connection::input` looks into a ring and copies one whole message out; `server::operations` checks type,
//! privilege and transaction and calls the handler, which decides and has no connections; the `store` checks path rights
//! and quotas and changes itself in an attempt that happens completely or not at all; `server::events` sends the watch
//! events that it has collected, and `server::deeds` has the steps taken that are left; only when there is room
//! for the reply is the request consumed, and `connection::output` writes the reply to the ring or queues it. One
//! notification goes out for the whole burst.
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
pub mod path;
pub mod perms;
pub mod platform;
pub mod quota;
pub mod ring;
pub mod server;
pub mod slots;
pub mod standalone;
pub mod store;
pub mod trace;
pub mod wire;
pub mod words;
