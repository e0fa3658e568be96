//! The table of all roles.

use super::guest::{Domain, Role};
use super::{honest, recorded};

impl<M: Domain + 'static> Role<M> {
    const HONEST: &'static [Role<M>] = &[
        Role { name: "hello", round: honest::hello },
        Role { name: "load", round: honest::load },
        Role { name: "reconnect", round: honest::reconnect },
        Role { name: "hvmloader-reset", round: honest::hvmloader_reset },
        Role { name: "recorded", round: recorded::recorded },
        Role { name: "spin", round: honest::spin },
        Role { name: "nap", round: honest::nap },
    ];

    /// All roles.
    pub fn all() -> impl Iterator<Item = &'static Role<M>> {
        let last: &'static [Role<M>] = &[Role::MIX];
        [Self::HONEST, Self::ON_RINGS, Self::BY_REQUESTS, last].into_iter().flatten()
    }

    /// The role with this name.
    pub fn named(name: &str) -> Option<&'static Role<M>> {
        Self::all().find(|role| role.name == name)
    }
}
