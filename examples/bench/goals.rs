//! What each table shows, and the goals for its figures.

/// One table of the report.
pub struct Table {
    pub number: u64,
    pub title: &'static str,
    /// What was measured and how, in a sentence or two.
    pub about: &'static str,
    /// The column to which those of the same unit are put in relation, if any is.
    pub base: Option<&'static str>,
    /// Which columns stand together, where not all fit beside each other. What is in no part follows.
    pub parts: &'static [&'static [&'static str]],
    pub goals: &'static [Goal],
    pub constants: Option<Constants>,
    pub plots: &'static [Plot],
}

/// What figures are to reach.
pub struct Goal {
    /// What the rows have in their names that have this goal; all if nothing is here.
    pub rows: &'static [&'static str],
    /// The column it is about; `None`: every one.
    pub column: Option<&'static str>,
    pub limit: Limit,
}

pub enum Limit {
    /// At most so many times the figure of another column in the same row.
    Times(f64, &'static str),
    /// At most so many times the number that the row begins with.
    TimesCount(f64),
    /// At most so much, in the column's unit.
    Value(f64),
    /// At least so much, in the column's unit.
    AtLeast(f64),
}

/// A sentence about one figure, for the head of the page: `{}` is its value, `{x}` how many times that of the column
/// `than` it is.
pub struct Gain {
    pub table: u64,
    pub row: &'static str,
    pub column: &'static str,
    pub than: &'static str,
    /// What the value is divided by to be read.
    pub unit: f64,
    pub text: &'static str,
}

/// A column that is not measured in this run.
pub struct Constants {
    pub column: &'static str,
    pub unit: &'static str,
    pub rows: &'static [(&'static str, f64)],
}

/// A drawing of a table.
pub struct Plot {
    pub shape: Shape,
    /// The columns that are drawn, and what they are called.
    pub columns: &'static [(&'static str, &'static str)],
    pub file: &'static str,
    /// What the axes show.
    pub x: &'static str,
    pub y: &'static str,
    /// What a reader would ask at the sight of it.
    pub note: &'static str,
}

/// How it is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// By the numbers that the rows begin with, both axes logarithmic.
    Lines,
    /// A group for each row.
    Bars,
}

const OURS: &str = "this server";
const NO_TRACE: &str = "this server, trace off";
const C: &str = "C xenstored";
const C_XENBUS: &str = "C xenstored, xenbus";
const OUR_MEMORY: &str = "this server, memory for each guest";
const C_MEMORY: &str = "C xenstored, memory for each guest";
const BURST: &str = "this server, each of 100 at once";
const OUR_BRANCHES: &str = "this server, mispredicted branches";
const C_BRANCHES: &str = "C xenstored, mispredicted branches";
const OUR_MISSES: &str = "this server, level 1 misses";
const C_MISSES: &str = "C xenstored, level 1 misses";
const OUR_DATA: &str = "this server, cache lines of data";
const C_DATA: &str = "C xenstored, cache lines of data";
const OUR_CODE: &str = "this server, cache lines of code";
const C_CODE: &str = "C xenstored, cache lines of code";
const OF_LAYERS: &str = "of layers";
const WITHOUT_LAYERS: &str = "without layers";
const OF_A_CLIENT: &str = "of a client";
const EMPTY: &str = "empty store";
const MINI_OS: &str = "C xenstored on Mini-OS";

pub const TABLES: &[Table] = &[
    Table {
        number: 1,
        title: "Instructions per request",
        about: "User-mode instructions of the server's process for one request on its unix socket, counted by \
                callgrind, and the distinct cache lines of 64 bytes that it touches. The node is \
                /local/domain/5/device/vif/0/state, with a value of one byte and seven siblings; DIRECTORY \
                lists the four nodes of a sibling; the last rows are about the same node of other domains. One \
                client waits for each answer. Without a trace nothing is recorded, but still counted.",
        base: Some(C),
        parts: &[&[OURS, NO_TRACE, C, "oxenstored"]],
        goals: &[
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(0.2, C) },
            Goal { rows: &["READ"], column: Some(OURS), limit: Limit::Times(1.03, NO_TRACE) },
        ],
        constants: None,
        plots: &[],
    },
    Table {
        number: 2,
        title: "The same beside much else",
        about: "As table 1, with one more thing in the store that the requests do not touch: watches of other \
                nodes by ten clients, nodes elsewhere, siblings of the node, idle connections, or open \
                transactions that have each written a node.",
        base: Some(EMPTY),
        parts: &[
            &[EMPTY, "10,000 watches", "10,000 nodes", "10,000 siblings"],
            &[EMPTY, "1,000 connections", "1,000 transactions"],
        ],
        goals: &[Goal { rows: &[OURS], column: None, limit: Limit::Times(1.1, EMPTY) }],
        constants: None,
        plots: &[],
    },
    Table {
        number: 3,
        title: "One guest more",
        about: "Instructions of the server for the start and the end of one more Linux guest, beside so many \
                others: all that real tools and a real kernel asked of the store, as recorded on Xen, asked \
                again over rings. What xl reads of lists of all guests grows with them whatever the server \
                does, and stands apart.",
        base: None,
        parts: &[&[OURS, "this server, times the first", C, "C xenstored, times the first"]],
        goals: &[
            Goal { rows: &["1 guest"], column: Some(OURS), limit: Limit::Times(0.1, C) },
            Goal { rows: &[], column: Some("this server, times the first"), limit: Limit::Value(1.02) },
        ],
        constants: None,
        plots: &[
            Plot {
                shape: Shape::Lines,
                columns: &[(OURS, OURS), (C, C)],
                file: "performance-guests.svg",
                x: "guests",
                y: "instructions for one guest's start and end (lower is better)",
                note: "The line of C xenstored ends at 200 guests: what it does for each grows with their number, so \
                       that to fill a host takes it the square of that.",
            },
            Plot {
                shape: Shape::Lines,
                columns: &[(OUR_MEMORY, OURS), (C_MEMORY, C)],
                file: "performance-memory.svg",
                x: "guests",
                y: "bytes of memory for each guest (lower is better)",
                note: "The line of C xenstored ends at 200 guests for the same reason.",
            },
        ],
    },
    Table {
        number: 4,
        title: "Many toolstacks at once",
        about: "How often a transaction has to be done again (EAGAIN) when as many toolstacks start or stop a \
                guest each at the same time, their requests interleaved, in turn or at random. A stop of \
                xl's reads lists of all guests in its transaction, which the other stops change: of those that have read \
                the same list only one can be right, see docs/architecture.md.",
        base: None,
        parts: &[],
        goals: &[
            Goal { rows: &["starts", "no list"], column: Some(OURS), limit: Limit::Value(0.0) },
            Goal {
                rows: &[],
                column: Some("this server, nodes that are wrong in the end"),
                limit: Limit::Value(0.0),
            },
            Goal {
                rows: &[],
                column: Some("this server, work for all, times that for one"),
                limit: Limit::TimesCount(1.1),
            },
        ],
        constants: None,
        plots: &[],
    },
    Table {
        number: 5,
        title: "Memory",
        about: "How many of the recorded guests fit into the image's memory, their devices included, and what \
                things take. This server's slots are there from the start; C xenstored tells what it has \
                allocated.",
        base: Some(C),
        parts: &[],
        goals: &[
            Goal { rows: &["guests in --memory 8"], column: Some(OURS), limit: Limit::AtLeast(220.0) },
            Goal { rows: &["a guest"], column: Some(OURS), limit: Limit::Value(20_000.0) },
            Goal { rows: &["a node"], column: Some(OURS), limit: Limit::Value(88.0) },
            Goal { rows: &["an idle domain"], column: Some(OURS), limit: Limit::Value(384.0) },
        ],
        constants: None,
        plots: &[],
    },
    Table {
        number: 6,
        title: "Upstream's test-xenstore on Xen, counted",
        about: "Instructions of the whole host (dom0, Xen and the server) for one test of `test-xenstore -i \
                200`, counted by QEMU's -icount with one processor. Clients of a stub domain go \
                through the kernel's xenbus device; those of a daemon may take its socket. The C daemon's stub \
                domain on Mini-OS was measured once, with the same settings, on Xen 4.17.",
        base: Some(C_XENBUS),
        parts: &[
            &[OURS, "C xenstored, socket", C_XENBUS, MINI_OS],
            &[OURS, "oxenstored, socket", "oxenstored, xenbus"],
        ],
        goals: &[
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(0.75, C_XENBUS) },
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(0.6, MINI_OS) },
        ],
        constants: Some(Constants {
            column: MINI_OS,
            unit: "instructions",
            rows: &[
                ("read 1", 182_248.0),
                ("read 2000", 357_487.0),
                ("write 1", 202_172.0),
                ("write 2000", 389_718.0),
                ("dir", 183_298.0),
                ("rm node", 195_091.0),
                ("rm dir", 204_864.0),
                ("ta empty", 337_860.0),
                ("ta rmw", 1_093_304.0),
                ("ta err", 1_274_588.0),
            ],
        }),
        plots: &[],
    },
    Table {
        number: 7,
        title: "Hypervisor calls per request",
        about: "How often the stub domain notifies dom0, sleeps, is woken, sets its timer and calls the \
                hypervisor otherwise, by its own counts, on Xen in QEMU. The first two rows are READs that it \
                finds complete in dom0's ring; Linux announces a request when only its header is there.",
        base: None,
        parts: &[&["notify", "idle", "wake-up"]],
        goals: &[
            Goal { rows: &[], column: Some("notify"), limit: Limit::Value(1.0) },
            Goal { rows: &["lone"], column: Some("idle"), limit: Limit::Value(1.0) },
        ],
        constants: None,
        plots: &[],
    },
    Table {
        number: 8,
        title: "Nobody waits on Xen",
        about: "As table 6, of this server, on average and at worst, with one and with two processors: a wake-up that \
                gets lost would show as one test that takes far longer than the others.",
        base: None,
        parts: &[],
        goals: &[
            Goal { rows: &[], column: Some("1 CPU, worst"), limit: Limit::Times(10.0, "1 CPU, average") },
            Goal { rows: &[], column: Some("2 CPUs, worst"), limit: Limit::Times(10.0, "2 CPUs, average") },
        ],
        constants: None,
        plots: &[],
    },
    Table {
        number: 9,
        title: "Cycles per request inside the image",
        about: "What requests of `test-xenstore -i 200` take in the stub domain, from taking one up to having its \
                answer in the ring, by the records of its own flight recorder, from Xen in QEMU with -icount, \
                where a cycle is an instruction. Each look at the clock is an exit to Xen there, whose \
                instructions are in the figures.",
        base: None,
        parts: &[],
        goals: &[],
        constants: None,
        plots: &[],
    },
    Table {
        number: 10,
        title: "The worst single requests known",
        about: "User-mode instructions of the library on a hypervisor in memory, counted by callgrind: what the \
                request takes with all its events, and the most of it that is done without a look at the rings of \
                others. All is within the default quotas; receivers read whatever has come before the server goes on.",
        base: None,
        parts: &[],
        goals: &[
            Goal { rows: &[], column: Some("without a look at others"), limit: Limit::Value(1_000_000.0) },
            Goal {
                rows: &[
                    "end of a domain",
                    "INTRODUCE",
                    "RELEASE",
                    "stats",
                    "state dump of 27,000",
                    "layers",
                    "DIRECTORY_PART",
                    "trace",
                    "a second later",
                ],
                column: Some("without a look at others"),
                limit: Limit::Value(250_000.0),
            },
        ],
        constants: None,
        plots: &[],
    },
    Table {
        number: 11,
        title: "Requests over rings",
        about: "What the server does for one request of a guest over its ring page, as guests ask on a host: \
                user-mode instructions counted by callgrind, the mispredicted branches and the misses of the first \
                level's caches by its models, and the distinct cache lines of 64 bytes touched. The node is \
                that of table 1, and the guest's own; a transaction of four is table 1's; dom0 introduces and releases another domain. This server is the \
                library, on a hypervisor in memory; C xenstored runs in a process of its own, with a library in the \
                place of Xen's.",
        base: Some(C),
        parts: &[
            &[OURS, BURST, C],
            &[OUR_BRANCHES, C_BRANCHES, OUR_MISSES, C_MISSES],
            &[OUR_DATA, C_DATA, OUR_CODE, C_CODE],
        ],
        goals: &[
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(0.1, C) },
            Goal { rows: &[], column: Some(BURST), limit: Limit::Times(0.7, OURS) },
            Goal { rows: &["READ"], column: Some(OUR_DATA), limit: Limit::Value(30.0) },
            Goal { rows: &["READ"], column: Some(OUR_CODE), limit: Limit::Value(80.0) },
        ],
        constants: None,
        plots: &[Plot {
            shape: Shape::Bars,
            columns: &[(OURS, OURS), (C, C)],
            file: "performance-requests.svg",
            x: "request",
            y: "instructions (lower is better)",
            note: "",
        }],
    },
    Table {
        number: 12,
        title: "Where a READ's instructions go",
        about: "The instructions of table 11's READ by function, without those of functions that it calls. The compiler \
                has put small ones into those that call them; `Host::serve` is the loop, `Server::poll`.",
        base: None,
        parts: &[],
        goals: &[],
        constants: None,
        plots: &[],
    },
    Table {
        number: 13,
        title: "The pause of a live update",
        about: "For how long a client in dom0 that asks all the time has no answer while it has the store updated \
                as `xenstore-control live-update` does, with so many nodes beside those of 10 guests: the middle one of three. Xen in \
                QEMU with -icount and one processor, where a nanosecond is an instruction of the whole host. The \
                client comes before all else in dom0, and goes by the kernel's xenbus device with either server. \
                That of C xenstored grows with the square of the nodes, and is measured up to 5,000 of them.",
        base: Some(C),
        parts: &[],
        goals: &[
            Goal { rows: &["1 node"], column: Some(OURS), limit: Limit::Value(2e6) },
            Goal { rows: &["28,000"], column: Some(OURS), limit: Limit::Value(20e6) },
        ],
        constants: None,
        plots: &[Plot {
            shape: Shape::Lines,
            columns: &[(OURS, OURS), (C, C)],
            file: "performance-updates.svg",
            x: "nodes beside those of 10 guests",
            y: "instructions without an answer (lower is better)",
            note: "The line of C xenstored ends at 5,000 nodes: its pause grows with their square.",
        }],
    },
    Table {
        number: 14,
        title: "Layers",
        about: "User-mode instructions of the library, on a hypervisor in memory: to begin with layers; for a client of dom0 \
                to write the same nodes with their permissions in one transaction; and for single requests for such nodes \
                afterwards. Nodes are in folders of fifty, with values of about ten bytes. From the image's entry to its first \
                answer, by its flight recorder: instructions of the whole host, Xen in QEMU with -icount and one processor, \
                where most of a start without layers is dom0's work. All layers are in the store before anybody is answered.",
        base: Some(OF_A_CLIENT),
        parts: &[],
        goals: &[
            Goal { rows: &["20,000"], column: Some(OF_LAYERS), limit: Limit::Value(50e6) },
            Goal {
                rows: &["two layers of 500"],
                column: Some(OF_LAYERS),
                limit: Limit::Times(1.05, WITHOUT_LAYERS),
            },
            Goal { rows: &["three layers of 6,667"], column: Some(OF_LAYERS), limit: Limit::Value(50e6) },
            Goal {
                rows: &["1,000", "READ", "WRITE", "DIRECTORY"],
                column: Some(OF_LAYERS),
                limit: Limit::Times(1.0, OF_A_CLIENT),
            },
        ],
        constants: None,
        plots: &[],
    },
];

/// What a reader gains, in the order of how many readers it is of use to.
pub const GAINS: &[Gain] = &[
    Gain {
        table: 11,
        row: "READ",
        column: OURS,
        than: C,
        unit: 1.0,
        text: "a READ over a guest's ring takes {} instructions, {x} times those of C xenstored;",
    },
    Gain {
        table: 11,
        row: "WRITE and its event",
        column: OURS,
        than: C,
        unit: 1.0,
        text: "a WRITE and the event of who watches take {}, {x} times;",
    },
    Gain {
        table: 3,
        row: "1 guest",
        column: OURS,
        than: C,
        unit: 1e6,
        text: "the start and the end of a host's first guest take {} million, {x} times;",
    },
    Gain {
        table: 3,
        row: "100 guests",
        column: OURS,
        than: C,
        unit: 1e6,
        text: "those of its hundredth guest take {} million, {x} times, since for C xenstored each guest makes all others \
               dearer;",
    },
    Gain {
        table: 3,
        row: "32000 guests",
        column: OURS,
        than: OURS,
        unit: 1e6,
        text: "those of the 32,000th take {} million;",
    },
    Gain {
        table: 5,
        row: "a guest, with all that it has in the store",
        column: OURS,
        than: C,
        unit: 1.0,
        text: "a guest takes {} bytes of memory, {x} times those of C xenstored;",
    },
    Gain {
        table: 13,
        row: "1 node",
        column: OURS,
        than: C,
        unit: 1e6,
        text: "a live update with ten guests has clients wait for {} million instructions of the whole host, {x} times \
               that of C xenstored.",
    },
];
