//! What the server has done since the start, in numbers.

/// Plain sums: counting costs one addition each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests answered.
    pub requests: u64,
    /// Watch events, those included that a domain never gets.
    pub events: u64,
    /// Calls of `Server::poll`.
    pub polls: u64,
}
