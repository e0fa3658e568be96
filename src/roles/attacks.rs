//! The table of attacks, and the guest that makes all of them.

use super::guest::{Domain, Guest, Role};
use super::{bother, commits, greedy, hoard, hostile, quotas};
use crate::client::{Answer, Failure};
use crate::wire::MessageType;

impl<M: Domain + 'static> Role<M> {
    /// Attacks after which no answer may come through the ring any more.
    pub const ON_RINGS: &'static [Role<M>] = &[
        Role { name: "indexes", round: hostile::indexes },
        Role { name: "torn", round: hostile::torn },
        Role { name: "endless", round: hostile::endless },
        Role { name: "deaf", round: hostile::deaf },
        Role { name: "rebind", round: hostile::rebind },
        Role { name: "kick", round: hostile::kick },
    ];

    /// Attacks by requests that keep to the protocol.
    pub const BY_REQUESTS: &'static [Role<M>] = &[
        Role { name: "watch-flood", round: greedy::watch_flood },
        Role { name: "event-storm", round: greedy::event_storm },
        Role { name: "transaction-flood", round: greedy::transaction_flood },
        Role { name: "deep", round: greedy::deep },
        Role { name: "wide", round: greedy::wide },
        Role { name: "quotas", round: quotas::quotas },
        Role { name: "open-reads", round: hoard::open_reads },
        Role { name: "idle-start", round: hoard::idle_start },
        Role { name: "large-values", round: hoard::large_values },
        Role { name: "many-lists", round: hoard::many_lists },
        Role { name: "long-watches", round: hoard::long_watches },
        Role { name: "commits", round: commits::commits },
        Role { name: "long-paths", round: commits::long_paths },
        Role { name: "prepared", round: commits::prepared },
        Role { name: "deep-removal", round: commits::deep_removal },
        Role { name: "losing", round: commits::losing },
        Role { name: "unread", round: bother::unread },
        Role { name: "deaths", round: bother::deaths },
        Role { name: "half", round: bother::half },
        Role { name: "strangers", round: bother::strangers },
        Role { name: "crowd", round: bother::crowd },
    ];

    /// All attacks in random order, so that each meets what others have left.
    pub const MIX: Role<M> = Role { name: "mix", round: mix };
}

fn mix<M: Domain + 'static>(guest: &mut Guest<M>) -> Answer<()> {
    if guest.random.below(8) == 0 {
        guest.start_over()?;
        // There may be nothing.
        let _ = guest.client.tell(MessageType::Rm, &[b"data/x\0"]);
    }
    let (on_rings, by_requests) = (Role::<M>::ON_RINGS, Role::<M>::BY_REQUESTS);
    let number = guest.random.below((on_rings.len() + by_requests.len()) as u32) as usize;
    let Some(attack) = on_rings.iter().chain(by_requests).nth(number) else { return Ok(()) };
    let result = (attack.round)(guest);
    if number < on_rings.len() || result == Err(Failure::Silent) {
        guest.start_over()?;
    }
    result
}
