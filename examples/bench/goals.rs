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

/// The figures of a column are at most so many times those of another in the same row.
pub struct Goal {
    pub column: &'static str,
    pub times: f64,
    pub than: &'static str,
}

/// How our own server is called in all tables.
pub const OURS: &str = "this server";
pub const C: &str = "C xenstored";

pub const TABLES: &[Table] = &[Table {
    number: 1,
    title: "Instructions per request",
    about: "User-mode instructions of the server's process for one request on its unix socket, counted by \
            callgrind. The node is /local/domain/5/device/vif/0/state, with a value of one byte and seven \
            siblings; DIRECTORY lists the four nodes of a sibling. A client waits for each answer.",
    base: C,
    goals: &[Goal { column: OURS, times: 0.1, than: C }],
}];
