//! What each table shows, and the goals for its figures.

/// One table of the report.
pub struct Table {
    pub number: u64,
    pub title: &'static str,
    /// What was measured and how, in a sentence or two.
    pub about: &'static str,
    /// The column to which those of the same unit are put in relation, if any is.
    pub base: Option<&'static str>,
    pub goals: &'static [Goal],
    pub constants: Option<Constants>,
    pub plot: Option<Plot>,
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
}

/// A column that is not measured in this run.
pub struct Constants {
    pub column: &'static str,
    pub unit: &'static str,
    pub rows: &'static [(&'static str, f64)],
}

/// A drawing of a table whose rows begin with numbers.
pub struct Plot {
    /// The columns that are drawn.
    pub columns: &'static [&'static str],
    pub file: &'static str,
    /// What the axes show.
    pub x: &'static str,
    pub y: &'static str,
}

const OURS: &str = "this server";
const NO_TRACE: &str = "this server, trace off";
const C: &str = "C xenstored";
const C_XENBUS: &str = "C xenstored, xenbus";
const OF_LAYERS: &str = "of layers";
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
        goals: &[
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(0.2, C) },
            Goal { rows: &["READ"], column: Some(OURS), limit: Limit::Times(1.03, NO_TRACE) },
        ],
        constants: None,
        plot: None,
    },
    Table {
        number: 2,
        title: "The same beside much else",
        about: "As table 1, with one more thing in the store that the requests do not touch: watches of other \
                nodes by ten clients, nodes elsewhere, siblings of the node, idle connections, or open \
                transactions that have each written a node.",
        base: Some(EMPTY),
        goals: &[Goal { rows: &[OURS], column: None, limit: Limit::Times(1.1, EMPTY) }],
        constants: None,
        plot: None,
    },
    Table {
        number: 3,
        title: "One guest more",
        about: "Instructions of the server for the start and the end of one more Linux guest, beside so many \
                others: all that real tools and a real kernel asked of the store, as recorded on Xen, asked \
                again over rings. What xl reads of lists of all guests grows with them whatever the server \
                does, and stands apart.",
        base: None,
        goals: &[Goal { rows: &[], column: Some("this server, times the first"), limit: Limit::Value(1.1) }],
        constants: None,
        plot: Some(Plot {
            columns: &[OURS, C],
            file: "performance-guests.svg",
            x: "guests",
            y: "instructions for one guest's start and end",
        }),
    },
    Table {
        number: 4,
        title: "Many toolstacks at once",
        about: "How often a transaction has to be done again (EAGAIN) when as many toolstacks start or stop a \
                guest each at the same time, their requests interleaved. A stop of xl's reads lists of all \
                guests in its transaction, which the other stops change.",
        base: None,
        goals: &[
            Goal { rows: &["starts", "stops"], column: Some(OURS), limit: Limit::Value(0.0) },
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
        plot: None,
    },
    Table {
        number: 5,
        title: "Memory",
        about: "How many of the recorded guests fit into the image's memory, their devices included, and what \
                things take. This server's slots are there from the start; C xenstored tells what it has \
                allocated.",
        base: Some(C),
        goals: &[
            Goal { rows: &["a node"], column: Some(OURS), limit: Limit::Value(128.0) },
            Goal { rows: &["an idle domain"], column: Some(OURS), limit: Limit::Value(512.0) },
        ],
        constants: None,
        plot: None,
    },
    Table {
        number: 6,
        title: "Upstream's test-xenstore on Xen, counted",
        about: "Instructions of the whole host (dom0, Xen and the server) for one test of `test-xenstore -i \
                200`, counted by QEMU's -icount with one processor. Clients of a stub domain go \
                through the kernel's xenbus device; those of a daemon may take its socket. The C daemon's stub \
                domain on Mini-OS was measured once, with the same settings, on Xen 4.17.",
        base: Some(C_XENBUS),
        goals: &[
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(1.0, C_XENBUS) },
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
        plot: None,
    },
    Table {
        number: 7,
        title: "Hypervisor calls per request",
        about: "How often the stub domain notifies dom0, sleeps, is woken, sets its timer and calls the \
                hypervisor otherwise, by its own counts, on Xen in QEMU. The first two rows are READs that it \
                finds complete in dom0's ring; Linux announces a request when only its header is there.",
        base: None,
        goals: &[
            Goal { rows: &[], column: Some("notify"), limit: Limit::Value(1.0) },
            Goal { rows: &["lone"], column: Some("idle"), limit: Limit::Value(1.0) },
        ],
        constants: None,
        plot: None,
    },
    Table {
        number: 8,
        title: "Nobody waits on Xen",
        about: "Nanoseconds for one test of `test-xenstore -i 200` on Xen in QEMU, on average and at worst, with \
                one and with two processors: a wake-up that gets lost would show as one test that takes far \
                longer than the others. The emulated processors share this machine with all else that runs \
                here, which shows, too; in the counted columns, where a nanosecond is an instruction, it does \
                not.",
        base: None,
        goals: &[
            Goal { rows: &[], column: Some("1 CPU, worst"), limit: Limit::Times(10.0, "1 CPU, average") },
            Goal { rows: &[], column: Some("2 CPUs, worst"), limit: Limit::Times(10.0, "2 CPUs, average") },
            Goal {
                rows: &[],
                column: Some("2 CPUs counted, worst"),
                limit: Limit::Times(10.0, "2 CPUs counted, average"),
            },
            Goal { rows: &[], column: None, limit: Limit::Value(1e9) },
        ],
        constants: None,
        plot: None,
    },
    Table {
        number: 9,
        title: "Cycles per request inside the image",
        about: "What requests of `test-xenstore -i 200` take in the stub domain, from taking one up to having its \
                answer in the ring, by the records of its own flight recorder, from Xen in QEMU with -icount, \
                where a cycle is an instruction. Each look at the clock is an exit to Xen there, whose \
                instructions are in the figures.",
        base: None,
        goals: &[],
        constants: None,
        plot: None,
    },
    Table {
        number: 10,
        title: "The worst single requests known",
        about: "User-mode instructions of the library on a hypervisor in memory, counted by callgrind: what the \
                request takes with all its events, and the most of it that is done without a look at the rings of \
                others. All is within the default quotas; receivers read whatever has come before the server goes on.",
        base: None,
        goals: &[Goal {
            rows: &[],
            column: Some("without a look at others"),
            limit: Limit::Value(1_000_000.0),
        }],
        constants: None,
        plot: None,
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
        goals: &[
            Goal { rows: &[], column: Some(OURS), limit: Limit::Times(0.1, C) },
            Goal {
                rows: &[],
                column: Some("this server, each of 100 at once"),
                limit: Limit::Times(0.7, OURS),
            },
            Goal {
                rows: &["READ"],
                column: Some("this server, cache lines of data"),
                limit: Limit::Value(30.0),
            },
            Goal {
                rows: &["READ"],
                column: Some("this server, cache lines of code"),
                limit: Limit::Value(80.0),
            },
        ],
        constants: None,
        plot: None,
    },
    Table {
        number: 12,
        title: "Where a READ's instructions go",
        about: "The instructions of table 11's READ by function, without those of functions that it calls. The compiler \
                has put small ones into those that call them; `Host::serve` is the loop, `Server::poll`.",
        base: None,
        goals: &[],
        constants: None,
        plot: None,
    },
    Table {
        number: 13,
        title: "The pause of a live update",
        about: "For how long a client in dom0 that asks all the time has no answer while the store is updated by \
                `xenstore-control live-update`, with so many nodes beside those of 10 guests: the middle one of three. Xen in \
                QEMU with -icount and one processor, where a nanosecond is an instruction of the whole host. The \
                client comes before all else in dom0, and goes by the kernel's xenbus device with either server. \
                That of C xenstored grows with the square of the nodes, and is measured up to 5,000 of them.",
        base: Some(C),
        goals: &[
            Goal { rows: &["1 node"], column: Some(OURS), limit: Limit::Value(2e6) },
            Goal { rows: &["28,000"], column: Some(OURS), limit: Limit::Value(20e6) },
        ],
        constants: None,
        plot: Some(Plot {
            columns: &[OURS, C],
            file: "performance-updates.svg",
            x: "nodes beside those of 10 guests",
            y: "instructions without an answer (lower is better)",
        }),
    },
    Table {
        number: 14,
        title: "Layers",
        about: "User-mode instructions of the library, on a hypervisor in memory: to begin with layers; for a client of dom0 \
                to write the same nodes with their permissions in one transaction; and for single requests for such nodes \
                afterwards. Nodes are in folders of fifty, with values of about ten bytes.",
        base: Some(OF_A_CLIENT),
        goals: &[
            Goal { rows: &["20,000"], column: Some(OF_LAYERS), limit: Limit::Value(50e6) },
            Goal {
                rows: &["1,000", "READ", "WRITE", "DIRECTORY"],
                column: Some(OF_LAYERS),
                limit: Limit::Times(1.0, OF_A_CLIENT),
            },
        ],
        constants: None,
        plot: None,
    },
];
