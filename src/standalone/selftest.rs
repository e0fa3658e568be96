//! The self-test: a table of requests with all messages that each must cause.

use core::fmt::{self, Arguments, Write};

use heapless::String;

use super::Loopback;
use crate::client::Machine;
use crate::wire::{Header, MessageType, TxId};

/// The client, by its place among them; its transaction; its request; and all that it then finds in its ring.
///
/// A request is a message name, a blank and the payload; `|` stands for NUL. An empty one sends nothing and only reads.
/// Expected messages are joined by `; `: an answer is its payload (`OK|`), an error its name, an event `ev path,token`.
pub type Row = (usize, u32, &'static str, &'static str);

/// Run in this order, on a new store. Domain 0 is privileged, domain 1 is a guest.
pub const ROWS: &[Row] = &[
    (0, 0, "DIRECTORY /|", "tool|"),
    (0, 0, "WRITE /local/domain/1|", "OK|"),
    (0, 0, "SET_PERMS /local/domain/1|n1|", "OK|"),
    (0, 0, "WATCH @introduceDomain|in|", "OK|; ev @introduceDomain,in"),
    (0, 0, "INTRODUCE 1|1|1|", "ev @introduceDomain,in; OK|"),
    (0, 0, "IS_DOMAIN_INTRODUCED 1|", "T|"),
    // A guest's own nodes.
    (1, 0, "WRITE data/hello|world", "OK|"),
    (0, 0, "READ /local/domain/1/data/hello|", "world"),
    (1, 0, "READ data/none|", "ENOENT"),
    (1, 0, "READ data//hello|", "EINVAL"),
    (1, 0, "DIRECTORY data|", "hello|"),
    (1, 0, "GET_PERMS data/hello|", "n1|"),
    // What is not its own.
    (0, 0, "WRITE /secret|42", "OK|"),
    (1, 0, "READ /secret|", "EACCES"),
    (1, 0, "WRITE /tool/mine|1", "EACCES"),
    (1, 0, "INTRODUCE 2|1|1|", "EACCES"),
    (1, 0, "CONTROL check|", "EACCES"),
    // Watches.
    (1, 0, "WATCH data|token|", "OK|; ev data,token"),
    (0, 0, "WRITE /local/domain/1/data/hello|again", "OK|"),
    (1, 0, "", "ev data/hello,token"),
    (1, 0, "UNWATCH data|token|", "OK|"),
    (0, 0, "WRITE /local/domain/1/data/hello|quiet", "OK|"),
    (1, 0, "", ""),
    // Transactions: one that takes effect at its end, one with a conflict, one that is given up.
    (1, 0, "TRANSACTION_START |", "1|"),
    (1, 1, "WRITE data/tx|one", "OK|"),
    (1, 0, "READ data/tx|", "ENOENT"),
    (1, 1, "TRANSACTION_END T|", "OK|"),
    (1, 0, "READ data/tx|", "one"),
    (1, 0, "TRANSACTION_START |", "2|"),
    (1, 2, "READ data/tx|", "one"),
    (0, 0, "WRITE /local/domain/1/data/tx|two", "OK|"),
    (1, 2, "WRITE data/tx|three", "OK|"),
    (1, 2, "TRANSACTION_END T|", "EAGAIN"),
    (1, 0, "TRANSACTION_START |", "3|"),
    (1, 3, "RM data/tx|", "OK|"),
    (1, 3, "TRANSACTION_END F|", "OK|"),
    (1, 0, "READ data/tx|", "two"),
    // A domain's nodes are removed with it.
    (0, 0, "CONTROL check|", "OK|"),
    (0, 0, "RELEASE 1|", "OK|"),
    (0, 0, "READ /local/domain/1/data/hello|", "ENOENT"),
    (0, 0, "CONTROL check|", "OK|"),
];

/// A row that has to fail, to show how that looks.
const WRONG: Row = (0, 0, "READ /secret|", "43");

/// How many rows have passed, and how many have failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    pub passed: u32,
    pub failed: u32,
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Runs the table, with a row that must fail if `spoilt`. Each failure is reported, with what was expected and what
/// came.
pub fn run<M: Machine>(
    loopback: &mut Loopback<'_, M>,
    spoilt: bool,
    tell: &mut dyn FnMut(Arguments<'_>),
) -> Verdict {
    let [good, wrong] =
        [ROWS, if spoilt { &[WRONG] } else { &[] }].map(|rows| run_rows(loopback, rows, tell));
    Verdict { passed: good.passed + wrong.passed, failed: good.failed + wrong.failed }
}

/// Runs these rows alone.
pub fn run_rows<M: Machine>(
    loopback: &mut Loopback<'_, M>,
    rows: &[Row],
    tell: &mut dyn FnMut(Arguments<'_>),
) -> Verdict {
    let mut verdict = Verdict::default();
    for &(who, tx, request, expected) in rows {
        let mut came = Came(String::new());
        serve(loopback, who, TxId(tx), request, &mut came);
        if came.0 == expected {
            verdict.passed += 1;
        } else {
            verdict.failed += 1;
            tell(format_args!(
                "self-test: FAILED: domain {who}, transaction {tx}, \"{request}\": expected \"{expected}\", came \"{}\"",
                came.0
            ));
        }
    }
    verdict
}

fn serve<M: Machine>(
    loopback: &mut Loopback<'_, M>,
    who: usize,
    tx: TxId,
    request: &'static str,
    came: &mut Came,
) {
    if request.is_empty() {
        return loopback.listen(who, &mut |header, payload| came.note(header, payload));
    }
    let (name, text) = request.split_once(' ').unwrap_or((request, ""));
    let what = MessageType::ALL.iter().find(|what| what.name() == name);
    let mut payload = heapless::Vec::<u8, 64>::new();
    for byte in text.bytes() {
        // Longer than any row.
        let _ = payload.push(if byte == b'|' { 0 } else { byte });
    }
    let msg_type = what.map_or(u32::MAX, |what| *what as u32);
    // Without an answer, nothing has come.
    let _ = loopback.exchange(who, msg_type, tx, &payload, &mut |header, payload| came.note(header, payload));
}

/// What has come, as a [`Row`] spells it. A long message is cut.
struct Came(String<128>);

impl Came {
    fn note(&mut self, header: &Header, payload: &[u8]) {
        if !self.0.is_empty() {
            self.put("; ");
        }
        let mut parts = payload.split(|byte| *byte == 0);
        if header.msg_type == MessageType::WatchEvent as u32 {
            self.put("ev ");
            self.text(parts.next().unwrap_or_default());
            self.put(",");
            self.text(parts.next().unwrap_or_default());
        } else if header.msg_type == MessageType::Error as u32 {
            self.text(parts.next().unwrap_or_default());
        } else {
            self.text(payload);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let byte = if *byte == 0 { b'|' } else { *byte };
            // Bytes that do not fit are left out.
            let _ = self.0.push(char::from(byte));
        }
    }

    fn put(&mut self, text: &str) {
        // As above.
        let _ = self.0.write_str(text);
    }
}
