//! The library on a host in memory: rows through real ring bytes, a naive model beside it, and its parts by themselves.

mod client;
mod cmdline;
mod control;
mod costs;
mod domains;
mod fairness;
mod fuzz_corpus;
mod json;
mod linux;
mod model;
mod paths;
mod pending;
mod permissions;
mod quotas;
mod requests;
mod reserve;
mod ring_transport;
mod rollback;
mod standalone;
mod standalone_host;
mod stats;
mod stops;
mod trace;
mod transactions;
mod watches;
mod wire;
