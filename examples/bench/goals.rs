//! What each table shows, and what its figures are to reach.

/// One table of the report.
pub struct Table {
    pub number: u64,
    pub title: &'static str,
    /// What was measured and how, in a sentence or two.
    pub about: &'static str,
    /// The column to which the others are put in relation.
    pub base: &'static str,
    pub goals: &'static [Goal],
}

/// Figures of ours are at most so many times those of another column in the same row.
pub struct Goal {
    /// How the rows begin that have this goal.
    pub rows: &'static str,
    /// The column it is about; every other one if it is the same as `than`.
    pub column: &'static str,
    pub times: f64,
    pub than: &'static str,
}

/// How the tables call the servers.
pub const OURS: &str = "this server";
pub const C: &str = "C xenstored";

const EMPTY: &str = "empty store";

pub const TABLES: &[Table] = &[
    Table {
        number: 1,
        title: "Instructions per request",
        about: "User-mode instructions of the server's process for one request on its unix socket, counted by \
                callgrind, and the distinct cache lines of 64 bytes that it touches. The node is \
                /local/domain/5/device/vif/0/state, with a value of one byte and seven siblings; DIRECTORY \
                lists the four nodes of a sibling. One client waits for each answer.",
        base: C,
        goals: &[Goal { rows: "", column: OURS, times: 0.1, than: C }],
    },
    Table {
        number: 2,
        title: "The same beside much else",
        about: "As table 1, with one more thing in the store that the requests do not touch: watches of other \
                nodes by ten clients, nodes elsewhere, siblings of the node, idle connections, or open \
                transactions that have each written a node.",
        base: EMPTY,
        goals: &[Goal { rows: OURS, column: EMPTY, times: 1.1, than: EMPTY }],
    },
];
