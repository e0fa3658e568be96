//! The one table of quotas: what each is called, what it counts, what it is at first.
//!
//! Whatever sets, asks for, reports or compares quotas goes by this table. Upstream's names and defaults
//! (xenstored(8), `--quota`).

/// What an amount is the amount of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// What a domain holds; a request that would add too much is refused.
    Held,
    /// What a domain holds; too much of it is logged.
    Warned,
    /// What one request uses, or makes a node or a transaction be.
    Request,
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
    pub get: fn(&Quotas) -> u32,
    pub set: fn(&mut Quotas, u32),
}

impl Quota {
    /// The quota with this name.
    pub fn named(name: &[u8]) -> Option<&'static Quota> {
        QUOTAS.iter().find(|quota| quota.name.as_bytes() == name)
    }

    /// How many there are whose excess is refused.
    pub const HARD: usize = {
        let (mut count, mut n) = (0, 0);
        while n < QUOTAS.len() {
            count += !matches!(QUOTAS[n].measure, Measure::Warned) as usize;
            n += 1;
        }
        count
    };

    /// Those whose excess is refused, in the order of the table.
    pub fn hard() -> impl Iterator<Item = &'static Quota> {
        QUOTAS.iter().filter(|quota| quota.measure != Measure::Warned)
    }
}

macro_rules! quotas {
    ($($(#[doc = $doc:literal])* $field:ident: $measure:ident $name:literal $(or $other:literal)?, $default:literal, $about:literal;)*) => {
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

        /// All quotas, in the order in which GET_QUOTA names them.
        pub const QUOTAS: &[Quota] = &[$(
            Quota {
                name: $name,
                other_name: quotas!(@other $($other)?),
                about: $about,
                measure: Measure::$measure,
                get: |quotas| quotas.$field,
                set: |quotas, value| quotas.$field = value,
            },
        )*];
    };
    (@other) => { None };
    (@other $other:literal) => { Some($other) };
}

quotas! {
    /// Nodes owned by the domain.
    nodes: Held "nodes", 1000, "Nodes per domain";
    /// Registered watches.
    watches: Held "watches", 128, "Watches per domain";
    /// Requests taken but not fully answered, counting the watch events they caused.
    outstanding: Held "outstanding", 20, "Outstanding requests per domain";
    /// Bytes held on the domain's behalf, refused above.
    memory: Held "memory", 2_621_440, "Total Xenstore memory per domain";
    /// Bytes held on the domain's behalf, logged above.
    soft_memory: Warned "soft-memory", 2_097_152, "Total Xenstore memory per domain";
    /// Open transactions.
    transactions: Held "transactions", 10, "Active transactions per domain";
    /// Nodes used in one transaction.
    transaction_nodes: Request "transaction-nodes", 1024, "Max. number of accessed nodes per transaction";
    /// Permission entries per node.
    node_permissions: Request "node-permissions" or "permissions", 5, "Max. number of permissions per node";
    /// Bytes of a path, a leading `/local/domain/<domid>/` not counted.
    path_max: Request "path-max" or "path-length", 2048, "Max. length of a node path";
    /// Bytes of a node: value, permissions and names of its children.
    node_size: Request "node-size", 2048, "Max. size of a node";
}
