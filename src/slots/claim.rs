//! Reserves: what a slot is taken for decides how much of its arena must stay free.

/// For what a slot is taken: each leaves more of the arena than the next, so that guests that keep all they
/// can get are still answered, and whatever they leave unread, the privileged are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// What guests keep that hold more than their share already.
    GreedyGuest,
    /// What guests keep.
    Guest,
    /// What waits for guests to read it. Only looked at before a request is taken.
    GuestAnswer,
    /// What the privileged keep.
    Privileged,
    /// Answers, and what the privileged send.
    Answer,
}

impl Claim {
    /// For what a client keeps.
    pub fn to_keep(privileged: bool, greedy: bool) -> Claim {
        match (privileged, greedy) {
            (true, _) => Claim::Privileged,
            (false, true) => Claim::GreedyGuest,
            (false, false) => Claim::Guest,
        }
    }
}
