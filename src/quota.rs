//! The one table of quotas: what each is called, what it counts, what it is at first, and what comes of exceeding it.
//!
//! Each quota binds each domain for itself. Whatever sets, asks for, checks, reports or compares quotas goes by this
//! table. Upstream's names, defaults and errors (xenstored(8), `--quota`).

use crate::wire::XsError;

/// What an amount is the amount of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// What a domain holds.
    Held,
    /// What one request uses, or makes a node or a transaction be.
    Request,
}

/// What comes of a request that would exceed a quota.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excess {
    /// This error.
    Refused(XsError),
    /// EIO if it is one of WRITE, MKDIR, RM and SET_PERMS, else ENOMEM. As the C daemon has it.
    NoMemory,
    /// It stays in its ring until the domain holds less.
    Waits,
    /// It is served, and the excess logged.
    Logged,
}

impl Excess {
    /// The error that says so; none if the request is served, now or later.
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
    /// On the command line, another name that some releases document.
    pub other_name: Option<&'static str>,
    /// What CONTROL `quota` tells of it.
    pub about: &'static str,
    pub measure: Measure,
    pub excess: Excess,
    pub get: fn(&Quotas) -> u32,
    pub set: fn(&mut Quotas, u32),
}

impl Quota {
    /// The quota with this name.
    pub fn named(name: &[u8]) -> Option<&'static Quota> {
        QUOTAS.iter().find(|quota| quota.name.as_bytes() == name)
    }

    /// How many there are that stop a request.
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

    /// Those that only warn, each with its name among these.
    pub fn soft() -> impl Iterator<Item = (&'static str, &'static Quota)> {
        QUOTAS.iter().filter_map(|quota| Some((quota.name.strip_prefix("soft-")?, quota)))
    }

    /// That of these with this name.
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
        /// What one domain may hold or use, or what it does hold or use. As a limit, zero switches a check off.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Quotas {
            $($(#[doc = $doc])* pub $field: u32,)*
        }

        impl Quotas {
            pub const DEFAULT: Quotas = Quotas { $($field: $default,)* };

            /// Nothing of anything, where this counts what is held instead of what may be.
            pub const NOTHING: Quotas = Quotas { $($field: 0,)* };

            /// The greater of each.
            pub fn max(self, other: Quotas) -> Quotas {
                Quotas { $($field: self.$field.max(other.$field),)* }
            }

            /// Of what one request uses, whether none is greater than in `limit`.
            pub fn is_within(&self, limit: &Quotas) -> bool {
                true $(&& (!matches!(Measure::$measure, Measure::Request) || self.$field <= limit.$field))*
            }
        }

        impl Quota {
            $($(#[doc = $doc])* pub const $constant: Quota = Quota {
                name: $name,
                other_name: quotas!(@other $($other)?),
                about: $about,
                measure: Measure::$measure,
                excess: Excess::$excess $((XsError::$error))?,
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
    /// Requests taken but not fully answered, counting the watch events they caused.
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
