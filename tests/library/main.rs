//! The library on a host in memory: rows through real ring bytes, a naive model beside it, and its parts by themselves.

use xenstore::config::Limits;

mod attackers;
mod behind;
mod burials;
mod causes;
mod checks;
mod client;
mod cmdline;
mod control;
#[cfg(debug_assertions)]
mod costs;
mod counter;
mod domains;
mod fairness;
#[cfg(debug_assertions)] // Elsewhere nothing stops.
mod faults;
mod fuzz_corpus;
mod goes;
mod growth;
mod holds;
mod image;
mod json;
mod layers;
mod linux;
mod masked;
mod missed;
mod model;
mod notified;
mod paths;
mod pending;
mod permissions;
mod prepared;
mod quota_settings;
mod quotas;
mod requests;
mod reserve;
mod ring_transport;
mod roles;
mod rollback;
mod saved;
mod service;
mod sessions;
mod shares;
mod slices;
mod small;
mod standalone;
mod standalone_host;
mod state;
mod state_limits;
mod state_streams;
mod stats;
mod stops;
mod storm;
mod telling;
mod trace;
mod transaction_deaths;
mod transaction_lists;
mod transactions;
mod turns;
mod twice;
mod update;
mod update_session;
mod waits;
mod watches;
mod wire;
mod xen_time;

/// How much servers do in one go.
const LIMITS: Limits = Limits::DEFAULT;

/// What others look at most while a change waits for a large one: some of them have a turn between two goes.
const LOOKS: usize = 240;
