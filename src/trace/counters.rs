//! What the server has done since the start, in numbers.

/// Plain sums: counting costs one addition each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests answered.
    pub requests: u64,
    /// Watch events, those included that a domain never gets.
    pub events: u64,
    /// Calls of `Server::poll` that found something to do.
    pub polls: u64,
    /// Looks at the rings as time passed.
    pub looks: u64,
    /// Requests found in their rings that no event has told of.
    pub missed: u64,
    /// Faults after which the server has gone on.
    pub restarts: u64,
    /// Times that the store took over from itself with more memory.
    pub growths: u32,
    /// Times that there was no memory to do so.
    pub growth_refusals: u32,
}
