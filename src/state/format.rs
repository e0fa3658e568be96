//! The records of the stream: their types, and their fields in order, once for writing and reading.

use core::ops::RangeInclusive;

/// Versions of the stream that are read and written.
pub const VERSIONS: RangeInclusive<u32> = 1..=2;

/// The version of our own records, the oldest whose readers can do with most states, and that with [`GIVEN_UP`].
pub const OWN_VERSION: u16 = 6;
pub const OWN_LEAST: u16 = 1;
pub const OWN_GIVEN_UP: u16 = 6;

/// Stands for a record where the stream begins.
pub const HEADER: u32 = u32::MAX;

/// `xenstore`, the beginning of every stream.
pub const IDENT: [u8; 8] = *b"xenstore";

/// Flag of the stream's header: numbers behind it are big-endian.
pub const BIG_ENDIAN: u32 = 1;

macro_rules! types {
    ($($(#[$doc:meta])* $constant:ident $number:literal $name:literal,)*) => {
        $($(#[$doc])* pub const $constant: u32 = $number;)*

        /// What a type of record is called.
        pub fn name(record: u32) -> Option<&'static str> {
            match record {
                $($number => Some($name),)*
                HEADER => Some("header"),
                _ => None,
            }
        }
    };
}

// Upstream's, then ours, which others pass over.
types! {
    END 0 "END",
    GLOBAL_DATA 1 "GLOBAL_DATA",
    CONNECTION 2 "CONNECTION_DATA",
    WATCH 3 "WATCH_DATA",
    NODE 5 "NODE_DATA",
    GLOBAL_QUOTA 6 "GLOBAL_QUOTA_DATA",
    DOMAIN 7 "DOMAIN_DATA",
    WATCH_EXTENDED 8 "WATCH_DATA_EXTENDED",
    STORE 0x8000_0001 "STORE",
    KNOWN 0x8000_0002 "KNOWN",
    LIMITS 0x8000_0003 "LIMITS",
    PEAK 0x8000_0004 "PEAK",
    ORDER 0x8000_0005 "ORDER",
    GENERATIONS 0x8000_0006 "GENERATIONS",
    OWNED 0x8000_0007 "OWNED",
    CAUSES 0x8000_0008 "CAUSES",
    TOLD 0x8000_0009 "TOLD",
    QUEUE 0x8000_000a "QUEUE",
    SUMS 0x8000_000b "SUMS",
    LAYER 0x8000_000c "LAYER",
    ORIGINS 0x8000_000d "ORIGINS",
    TRACE 0x8000_000e "TRACE",
    MARK 0x8000_000f "MARK",
    GONE 0x8000_0010 "GONE",
    FILLER 0x8000_0011 "FILLER",
}

/// Bytes of the longest fixed part of a record.
pub const FIXED_MAX: usize = 80;

/// A number of the stream, little-endian.
pub trait Number: Sized {
    /// Bytes that it takes.
    const WIDTH: usize = size_of::<Self>();
    fn read(bytes: &[u8; FIXED_MAX], at: usize) -> Self;
    fn write(self, bytes: &mut [u8; FIXED_MAX], at: usize);
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Number for $number {
            #[inline(always)]
            fn read(bytes: &[u8; FIXED_MAX], at: usize) -> Self {
                <$number>::from_le_bytes(bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
            }
            #[inline(always)]
            fn write(self, bytes: &mut [u8; FIXED_MAX], at: usize) {
                if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                    *place = self.to_le_bytes();
                }
            }
        })*
    };
}

numbers! { u8 u16 u32 u64 }

/// The fixed part of a record, or of an entry in one.
pub trait Fixed: Sized {
    /// Bytes that each of its numbers takes, in order.
    const WIDTHS: &[usize];
    /// Bytes that it takes.
    const SIZE: usize;
    fn read(bytes: &[u8; FIXED_MAX]) -> Self;
    fn write(&self, bytes: &mut [u8; FIXED_MAX]);
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $number:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct $name {
            $($(#[$about])* pub $field: $number,)*
        }

        impl Fixed for $name {
            const WIDTHS: &[usize] = &[$(<$number>::WIDTH),*];
            const SIZE: usize = {
                let size = 0 $(+ <$number>::WIDTH)*;
                assert!(size <= FIXED_MAX);
                size
            };
            #[inline(always)]
            fn read(bytes: &[u8; FIXED_MAX]) -> Self {
                let mut _at = 0;
                $(let $field = Number::read(bytes, _at);
                _at += <$number>::WIDTH;)*
                $name { $($field,)* }
            }
            #[inline(always)]
            fn write(&self, bytes: &mut [u8; FIXED_MAX]) {
                let mut _at = 0;
                $(self.$field.write(bytes, _at);
                _at += <$number>::WIDTH;)*
            }
        })*
    };
}

parts! {
    /// The beginning of a record.
    Head {
        record: u32,
        /// Bytes of the body.
        len: u32,
    }
    GlobalData {
        /// -1 for none, as the next one.
        socket: u32,
        channels: u32,
    }
    Connection {
        number: u32,
        /// 0 for a ring, 1 for a socket.
        kind: u16,
        flags: u16,
        domid: u16,
        /// [`DomId::INVALID`](crate::abi::DomId::INVALID) for none.
        target: u16,
        /// Local port, 0 for none.
        port: u32,
        /// Bytes of requests that have begun.
        input: u16,
        /// Bytes of the output that belong to a message that is half sent.
        begun: u16,
        /// Bytes of output, those included.
        output: u32,
    }
    /// Path and token follow, each with its NUL.
    Watch {
        connection: u32,
        path: u16,
        token: u16,
    }
    Depth {
        /// [`ANY_DEPTH`] for all levels.
        depth: u16,
        padding: u16,
    }
    /// Entries, the path with its NUL and the value follow.
    Node {
        connection: u32,
        transaction: u32,
        path: u16,
        value: u16,
        access: u16,
        entries: u16,
    }
    /// An entry of a permission list.
    Permission {
        letter: u8,
        flags: u8,
        domid: u16,
    }
    /// Values and names follow.
    GlobalQuota {
        domain: u16,
        global: u16,
    }
    /// Values and names follow.
    Domain {
        domid: u16,
        quotas: u16,
        features: u32,
    }
    /// Numbers of the store.
    Store {
        /// Of our records.
        version: u16,
        /// The oldest version whose readers can do with this.
        least: u16,
        own: u16,
        flags: u16,
        generation: u64,
        /// Of the latest watch.
        sequence: u64,
        /// Of the latest change that was told.
        change: u64,
        requests: u64,
        events: u64,
        polls: u64,
        looks: u64,
        missed: u64,
        restarts: u64,
    }
    /// What may follow in the same record.
    Growth {
        growths: u32,
        refusals: u32,
    }
    /// A domain that has a record.
    Known {
        domid: u16,
        flags: u16,
        /// Identifier of its latest transaction.
        transaction: u32,
        unique_id: u64,
        features: u32,
        padding: u32,
    }
    /// What watches of one connection have no other place for; for each a [`Place`].
    Places {
        connection: u32,
        padding: u32,
    }
    Place {
        sequence: u64,
        /// [`u32::MAX`] for all levels.
        depth: u32,
        padding: u32,
    }
    /// The numbers of one node.
    Generations {
        value: u64,
        list: u64,
        permissions: u16,
        /// Where the node comes from.
        origin: u16,
        padding: u32,
    }
    /// What a domain owns; for each node an [`OwnedNode`].
    Owned {
        domid: u16,
        padding_1: u16,
        padding_2: u32,
    }
    OwnedNode {
        /// Of its value.
        generation: u64,
    }
    /// A guest of whose request a message waits; [`DomId::INVALID`](crate::abi::DomId::INVALID) if it is gone, or the place
    /// is free.
    Cause {
        domid: u16,
    }
    /// What a connection's messages have no other place for; for each a [`Waiting`], then the bytes of the first that have
    /// been sent.
    Queue {
        connection: u32,
        flags: u16,
        sent: u16,
        count: u32,
        padding: u32,
    }
    Waiting {
        flags: u8,
        /// Of the request that it was queued in.
        msg_type: u8,
        /// Of what is told later: by whose rights beside its own. A domid and 1, so
        /// [`DomId::INVALID`](crate::abi::DomId::INVALID) and 1 for nobody's; how many lives before the latest that is named
        /// so if it is [`ENDED`]. 0 from before this was here: that of its connection.
        target: u16,
        /// The place in [`CAUSES`], from 1 on; 0 for none.
        cause: u32,
        /// Nanoseconds until it is given up.
        left: u64,
        /// Of what is told later: the number of what is told, and how far that has been done.
        told: u64,
        after: u64,
        copy: u32,
        padding: u32,
    }
    /// A change that is told later; its copies follow.
    Told {
        /// Who has made it.
        domid: u16,
        padding: u16,
        copies: u32,
        /// The newest watch that hears of it.
        newest: u64,
        number: u64,
    }
    /// Three permission lists, then the path.
    Copy {
        /// 0 for no event, 1 for one on the path and above, 2 for one on the path alone.
        fires: u16,
        path: u16,
        /// Entries of the list before, now, and of the node above.
        old: u16,
        own: u16,
        above: u16,
        padding: u16,
    }
    /// What a layer says beside its nodes; the text follows.
    Layer {
        /// 0: its name; 1, 2: the path of a whiteout, of an opaque node; 3: the next node's value is the lower layers'.
        kind: u16,
        len: u16,
        padding: u32,
    }
    /// Layers that were fused or left out; for each an [`Origin`] and its name.
    Origins {
        /// The store's generation when they had been.
        generation: u64,
        layers: u16,
        padding_1: u16,
        padding_2: u32,
    }
    Origin {
        nodes: u32,
        removals: u32,
        line: u32,
        column: u32,
        /// Why it was left out, 0 if it was not.
        fault: u8,
        name: u8,
        padding_1: u16,
        padding_2: u32,
    }
    /// A node that a layer had and that is gone; its path follows.
    Gone {
        len: u16,
        padding_1: u16,
        padding_2: u32,
    }
    /// Of something that has been counted, or the value of a quota.
    Count {
        count: u32,
    }
    /// The sums of a type of request or of a domain; for each of its counts a [`Count`].
    Sums {
        /// 0 of a type, 1 of a domain.
        kind: u16,
        of: u16,
        times: u16,
        errors: u16,
        received: u64,
        sent: u64,
        cycles: u64,
    }
    /// Records of the trace, which follow.
    Trace {
        /// Number of the first one.
        first: u64,
    }
    /// The text of a mark follows.
    Mark {
        hash: u64,
        len: u16,
    }
}

/// No limit of depth.
pub const ANY_DEPTH: u16 = u16::MAX;

/// Of [`Connection::flags`]: the domain's unique id follows.
pub const HAS_UNIQUE_ID: u16 = 1;

/// Of [`Permission::flags`]: without effect, as the domain was another one. Ours: no domain was meant.
pub const STALE: u8 = 1;
pub const NOBODY: u8 = 2;

/// Of [`Permission::flags`] and [`Waiting::flags`]: what stands for the domid is how many lives before the latest dead target
/// that a domain began which is dead.
pub const ENDED: u8 = 8;

/// Of [`Known::flags`]: its shutdown has been announced.
pub const SHUT_DOWN: u16 = 1;

/// Of [`Queue::flags`].
pub const IGNORED: u16 = 1;

/// Of [`Waiting::flags`]: an event, one with a deadline, and one that stands for events that are told later.
pub const EVENT: u8 = 1;
pub const DEADLINE: u8 = 2;
pub const LATER: u8 = 4;

/// Beside [`LATER`]: the change that it stood for has been given up, and its receiver does not know that yet.
pub const GIVEN_UP: u8 = 16;
