//! The one table of quotas: its name, what it counts, its default, and what happens to a request that exceeds it.
//!
//! A quota limits each domain separately. Everything that sets, reads, checks, reports or compares quotas uses this
//! table. Names, defaults and errors are upstream's (xenstored(8), `--quota`).

use crate::wire::XsError;

/// What a quota limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// What a domain holds.
    Held,
    /// What one request uses, or the size of one node or transaction.
    Request,
}

/// What happens to a request that would exceed a quota.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excess {
    /// It fails with this error.
    Refused(XsError),
    /// WRITE, MKDIR, RM and SET_PERMS fail with EIO, all others with ENOMEM, as in the C daemon.
    NoMemory,
    /// It stays in its ring until the domain holds less.
    Waits,
    /// It is served, and the excess is logged.
    Logged,
}

impl Excess {
    /// The error that it fails with; none if it is served, now or later.
    pub fn error(self, changes_nodes: bool) -> Option<XsError> {
        match self {
            Excess::Refused(error) => Some(error),
            Excess::NoMemory => Some(if changes_nodes { XsError::EIO } else { XsError::ENOMEM }),
            Excess::Waits | Excess::Logged => None,
        }
    }
}

/// One quota.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// On the wire, on the command line and in reports.
    pub name: &'static str,
    /// Another name on the command line, which some releases document.
    pub other_name: Option<&'static str>,
    /// Its description in CONTROL `quota`.
    pub about: &'static str,
    pub measure: Measure,
    pub excess: Excess,
    /// In the table, from 0.
    pub place: u8,
    pub get: fn(&Quotas) -> u32,
    pub set: fn(&mut Quotas, u32),
}

impl Quota {
    /// The quota with this name.
    pub fn named(name: &[u8]) -> Option<&'static Quota> {
        QUOTAS.iter().find(|quota| quota.name.as_bytes() == name)
    }

    /// How many of them stop a request.
    pub const HARD: usize = {
        let (mut count, mut n) = (0, 0);
        while n < QUOTAS.len() {
            count += !matches!(QUOTAS[n].excess, Excess::Logged) as usize;
            n += 1;
        }
        count
    };

    /// Those that stop a request, in the order of the table.
    pub fn hard() -> impl Iterator<Item = &'static Quota> {
        QUOTAS.iter().filter(|quota| quota.excess != Excess::Logged)
    }

    /// Those that only warn, each with its name as a soft quota.
    pub fn soft() -> impl Iterator<Item = (&'static str, &'static Quota)> {
        QUOTAS.iter().filter_map(|quota| Some((quota.name.strip_prefix("soft-")?, quota)))
    }

    /// The soft quota with this name.
    pub fn soft_named(name: &[u8]) -> Option<&'static Quota> {
        Quota::soft().find(|(short, _)| short.as_bytes() == name).map(|(_, quota)| quota)
    }
}

macro_rules! quotas {
    ($(
        $(#[doc = $doc:literal])*
        $constant:ident $field:ident: $measure:ident, $name:literal $(or $other:literal)?, $default:literal,
        $excess:ident $(($error:ident))?, $about:literal;
    )*) => {
        /// One amount for each quota: a limit, or what a domain holds or uses. As a limit, 0 switches the check off.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Quotas {
            $($(#[doc = $doc])* pub $field: u32,)*
        }

        impl Quotas {
            pub const DEFAULT: Quotas = Quotas { $($field: $default,)* };

            /// Nothing held.
            pub const NOTHING: Quotas = Quotas { $($field: 0,)* };

            /// The greater of each two amounts.
            pub fn max(self, other: Quotas) -> Quotas {
                Quotas { $($field: self.$field.max(other.$field),)* }
            }
        }

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place {
            $($constant,)*
        }

        impl Quota {
            $($(#[doc = $doc])* pub const $constant: Quota = Quota {
                name: $name,
                other_name: quotas!(@other $($other)?),
                about: $about,
                measure: Measure::$measure,
                excess: Excess::$excess $((XsError::$error))?,
                place: Place::$constant as u8,
                get: |quotas| quotas.$field,
                set: |quotas, value| quotas.$field = value,
            };)*
        }

        /// All quotas, in the order in which GET_QUOTA names them.
        pub const QUOTAS: &[Quota] = &[$(Quota::$constant,)*];
    };
    (@other) => { None };
    (@other $other:literal) => { Some($other) };
}

quotas! {
    /// Nodes owned by the domain.
    NODES nodes: Held, "nodes", 1000, Refused(ENOSPC), "Nodes per domain";
    /// Registered watches.
    WATCHES watches: Held, "watches", 128, Refused(ENOSPC), "Watches per domain";
    /// Requests taken whose answer, or an event that they caused, still waits.
    OUTSTANDING outstanding: Held, "outstanding", 20, Waits, "Outstanding requests per domain";
    /// Bytes held on the domain's behalf.
    MEMORY memory: Held, "memory", 2_621_440, NoMemory, "Total Xenstore memory per domain";
    /// Bytes held on the domain's behalf without a warning.
    SOFT_MEMORY soft_memory: Held, "soft-memory", 2_097_152, Logged, "Total Xenstore memory per domain";
    /// Open transactions.
    TRANSACTIONS transactions: Held, "transactions", 10, Refused(ENOSPC), "Active transactions per domain";
    /// Nodes used in one transaction.
    TRANSACTION_NODES transaction_nodes: Request, "transaction-nodes", 1024, Refused(ENOSPC),
        "Max. number of accessed nodes per transaction";
    /// Permission entries per node.
    NODE_PERMISSIONS node_permissions: Request, "node-permissions" or "permissions", 5, Refused(ENOSPC),
        "Max. number of permissions per node";
    /// Bytes of a path, a leading `/local/domain/<domid>/` not counted.
    PATH_MAX path_max: Request, "path-max" or "path-length", 2048, Refused(EINVAL), "Max. length of a node path";
    /// Bytes of a node: value, permissions and names of its children.
    NODE_SIZE node_size: Request, "node-size", 2048, Refused(ENOSPC), "Max. size of a node";
}

/// The most that one request of a domain has used of what it has quotas on requests for.
#[derive(Clone, Copy)]
pub struct Largest {
    pub transaction_nodes: u32,
    pub node_permissions: u32,
    pub path_max: u32,
    pub node_size: u32,
}

impl Largest {
    pub const NOTHING: Largest =
        Largest { transaction_nodes: 0, node_permissions: 0, path_max: 0, node_size: 0 };

    /// Of amounts by quota, those that one request uses.
    pub fn of(amounts: Quotas) -> Largest {
        let Quotas { transaction_nodes, node_permissions, path_max, node_size, .. } = amounts;
        Largest { transaction_nodes, node_permissions, path_max, node_size }
    }

    /// With the most that is `held`, as amounts by quota. It names each quota, so that a new one does not compile until it is
    /// counted here.
    pub fn beside(self, held: Quotas) -> Quotas {
        let Quotas { nodes, watches, outstanding, memory, soft_memory, transactions, .. } = held;
        let Largest { transaction_nodes, node_permissions, path_max, node_size } = self;
        Quotas {
            nodes,
            watches,
            outstanding,
            memory,
            soft_memory,
            transactions,
            transaction_nodes,
            node_permissions,
            path_max,
            node_size,
        }
    }
}
