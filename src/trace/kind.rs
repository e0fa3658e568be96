//! The kinds of records, and what the fields of each say.

macro_rules! kinds {
    ($($(#[$doc:meta])* $number:literal $name:ident $text:literal,)*) => {
        /// Kinds of records. Their numbers are those of [`super::page`]'s format.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)*
        }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$name,)*];

            pub const fn from_wire(number: u8) -> Option<Kind> {
                match number {
                    $($number => Some(Kind::$name),)*
                    _ => None,
                }
            }

            /// Its name in print and in filters.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// The server starts. The time is that of the entry into its program.
    0 Started "started",
    /// A request was taken: its type and transaction; size of its payload. It has no end if there was no room for its
    /// answer; then it is taken again.
    1 Begun "begun",
    /// The request was answered: its error, if any; size of the answer's payload, 0 of an error; amount is the cycles
    /// since the server woke up, or answered the request before in the same wake-up, with those of others that were answered
    /// while it was set aside; hash of its path.
    2 Ended "ended",
    /// A watch event for the domain: size of its payload, hash of its path. Of the requests that have begun and
    /// not ended, the latest caused it.
    3 Event "event",
    /// The domain never gets a watch event that was recorded; size of its payload. If there was no room for it, this
    /// record follows at once and has its hash. Else it waited too long, or the domain's session ended.
    4 Dropped "dropped",
    /// The domain opened the transaction.
    5 TransactionStarted "tx-started",
    /// The transaction took effect: amount is the nodes it had touched.
    6 TransactionCommitted "tx-committed",
    /// Its client gave the transaction up, perhaps with its connection, or its end was refused.
    7 TransactionAborted "tx-aborted",
    /// The transaction had read what has changed since: hash of the node's path; amount is the domid of who
    /// changed it, or `DOMID_INVALID` if that is nobody or not known.
    8 TransactionConflict "tx-conflict",
    /// The domain was introduced: amount is our port.
    9 Introduced "introduced",
    /// The domain was released, or it died.
    10 Released "released",
    /// A quota or a lack of room refused a request: its type, transaction, error and path. `detail` is the quota's place in the
    /// table of quotas, from 1, and amount what it allows; both are 0 for lack of room.
    11 Refused "refused",
    /// The domain is not served for now, or its messages wait: `detail` is a [`Stall`].
    12 Stalled "stalled",
    /// The domain made another's commit fail and is held while that is tried again: amount is the other's domid.
    13 Held "held",
    /// The server woke up: amount is the cycles that it was idle, at most 2³²-1.
    14 WokeUp "woke-up",
    /// The domain was notified.
    15 Notified "notified",
    /// The domain broke the ring protocol: amount is the error field's value.
    16 RingError "ring-error",
    /// An operator's mark: hash of its text. A filter for one domain lets it pass.
    17 Mark "mark",
    /// The server panicked: amount is the line in its source.
    18 Panic "panic",
    /// The domain's session was reset, at its own request or by another INTRODUCE: what it had begun is dropped.
    19 Restarted "restarted",
    /// The domain had a request in its ring at two looks, and no event told of it. It is served now.
    20 Missed "missed-event",
    /// The server has stopped at a fault, amid a request of the domain if there is one, and of that type: `detail` and amount
    /// are a [`super::Stop`].
    21 Fault "fault",
    /// It has gone on: amount is the cycles that it took to.
    22 Recovered "recovered",
    /// Another image has taken over: amount is the microseconds since the one before began to hand over; `detail` is 1 if
    /// the new one gave way, so that the one before goes on, and 2 if there was none, but damage that a fault had left.
    23 Updated "updated",
}

impl Kind {
    /// Its bit in a set of kinds.
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }
}

macro_rules! stalls {
    ($($(#[$doc:meta])* $number:literal $name:ident $text:literal,)*) => {
        /// Why a domain has to wait.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Stall {
            $($(#[$doc])* $name = $number,)*
        }

        impl Stall {
            pub const fn from_wire(number: u8) -> Option<Stall> {
                match number {
                    $($number => Some(Stall::$name),)*
                    _ => None,
                }
            }

            pub const fn name(self) -> &'static str {
                match self {
                    $(Stall::$name => $text,)*
                }
            }
        }
    };
}

stalls! {
    /// It leaves too many answers unread, or holds too much memory with them.
    1 Unread "does not read its answers",
    /// The server has no room for its request or for the answer.
    2 NoRoom "no room",
    /// It is held back for another's transaction.
    3 Held "held",
    /// Its ring is full, and has been for a second or so.
    4 RingFull "its ring is full",
    /// It has made the server query the hypervisor too often.
    5 Asks "makes the store ask Xen too much",
    /// It has waited beyond its budget of the processor's time: amount is the cycles, at most 2³²-1.
    6 Budget "beyond its budget",
}
