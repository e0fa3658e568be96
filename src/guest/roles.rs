//! What the guest can be.

use crate::image::fatal::{self, Reason};
use crate::life::Role;
use crate::{greedy, honest, hostile, quotas};

/// All roles.
pub const ROLES: &[Role] = &[
    Role { name: "hello", round: honest::hello },
    Role { name: "load", round: honest::load },
    Role { name: "reconnect", round: honest::reconnect },
    Role { name: "hvmloader-reset", round: honest::hvmloader_reset },
    Role { name: "spin", round: honest::spin },
    Role { name: "indexes", round: hostile::indexes },
    Role { name: "torn", round: hostile::torn },
    Role { name: "endless", round: hostile::endless },
    Role { name: "deaf", round: hostile::deaf },
    Role { name: "rebind", round: hostile::rebind },
    Role { name: "kick", round: hostile::kick },
    Role { name: "watch-flood", round: greedy::watch_flood },
    Role { name: "event-storm", round: greedy::event_storm },
    Role { name: "transaction-flood", round: greedy::transaction_flood },
    Role { name: "deep", round: greedy::deep },
    Role { name: "wide", round: greedy::wide },
    Role { name: "quotas", round: quotas::quotas },
];

/// The role with this name. If there is none, that ends the domain, with a line that says what is allowed.
pub fn named(name: &str) -> &'static Role {
    let Some(role) = ROLES.iter().find(|role| role.name == name) else {
        fatal::stop(Reason::PowerOff, format_args!("no role \"{name}\"; allowed: {}", Names));
    };
    role
}

/// The names of all roles, to be printed.
struct Names;

impl core::fmt::Display for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        ROLES.iter().try_for_each(|role| write!(f, "{} ", role.name))
    }
}
