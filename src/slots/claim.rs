//! Reserves: what a slot is taken for decides how much of its arena must stay free.

/// For what a slot is taken: each leaves more of the arena than the next, so that guests that keep all they
/// can get are still answered, and whatever they leave unread, the privileged are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// What guests keep, and what waits for them.
    Guest,
    /// A short answer to a guest: only looked at before a request is taken.
    GuestAnswer,
    /// What waits for the privileged because of what guests do.
    News,
    /// What the privileged keep.
    Privileged,
    /// A further answer to a privileged client that has not read the one before.
    FurtherAnswer,
    /// Answers, and what has been decided.
    Answer,
}

impl Claim {
    /// For what a client keeps.
    pub fn to_keep(privileged: bool) -> Claim {
        if privileged { Claim::Privileged } else { Claim::Guest }
    }

    /// Whether a guest's share of the arena bounds what it takes.
    pub fn is_shared(self) -> bool {
        matches!(self, Claim::Guest | Claim::News)
    }

    /// How many slots of an arena of this capacity are left.
    pub fn kept(self, capacity: u32) -> u32 {
        match self {
            Claim::Guest => capacity / 64 * 3,
            Claim::GuestAnswer => capacity / 128 * 5,
            Claim::News | Claim::Privileged => capacity / 32,
            Claim::FurtherAnswer => capacity / 64,
            Claim::Answer => 0,
        }
    }
}
