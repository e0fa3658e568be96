//! Requests that are wrong in one way or another.

use crate::generate::{GUESTS, Generator};
use conformance::message::{
    DIRECTORY, DIRECTORY_PART, GET_DOMAIN_PATH, GET_PERMS, IS_DOMAIN_INTRODUCED, MKDIR, Packet, READ, RM,
    SET_PERMS, TRANSACTION_END, UNWATCH, WATCH, WRITE,
};
use conformance::step::{Request, Step, Tx};

/// Paths that are no paths.
const BAD_PATHS: [&str; 10] =
    ["", "/s//a", "/s/", "a/", "/s/a.b", "/s/a b", "/s/a:b", "//", "/local/domain/", "/s/\x7f"];

/// Permissions that are none.
const BAD_PERMS: [&str; 8] = ["", "x1", "r", "r1x", "n", "R1", "r-", "1r"];

/// One wrong request.
pub fn step(from: &mut Generator) -> Step {
    let who = from.client();
    let path = from.path(who);
    let bad = BAD_PATHS[from.rng.usize(..BAD_PATHS.len())].as_bytes();
    let single = [DIRECTORY, READ, GET_PERMS, MKDIR, RM][from.rng.usize(..5)];
    if from.rng.u32(..60) == 0 {
        // A message that is too long: this guest gets no more answers.
        let who = GUESTS[from.rng.usize(..GUESTS.len())];
        let mut header = Packet { kind: READ, req_id: 1, tx_id: 0, payload: Vec::new() }.encode();
        header[13] = 0x20;
        return Step::Bytes(who, header);
    }
    let request = match from.rng.u32(..14) {
        // Not exactly one string.
        0 => Request::new(single, path),
        1 => Request::new(single, [&path[..], b"\0x\0"].concat()),
        2 => Request::new(single, *b""),
        3 => Request::new(WRITE, path),
        4..6 => Request::new(single, [bad, b"\0"].concat()),
        6 => Request::new(WRITE, [bad, b"\0value"].concat()),
        7 => {
            let kind = if from.rng.bool() { WATCH } else { UNWATCH };
            Request::new(kind, [bad, b"\0t\0"].concat())
        }
        8 => {
            let kind = [WATCH, UNWATCH, SET_PERMS, DIRECTORY_PART][from.rng.usize(..4)];
            Request::new(kind, [&path[..], b"\0"].concat())
        }
        9 => {
            let entry = BAD_PERMS[from.rng.usize(..BAD_PERMS.len())].as_bytes();
            Request::new(SET_PERMS, [&path[..], b"\0", entry, b"\0"].concat())
        }
        10 => {
            let kind = [15, 16, 20, 27, 1000, 65535][from.rng.usize(..6)];
            Request::new(kind, [&path[..], b"\0"].concat())
        }
        11 => Request { tx: Tx::Number(99), ..Request::new(single, [&path[..], b"\0"].concat()) },
        12 => {
            let payload = ["T", "X\0", "T\0\0", "t\0", "TF\0"][from.rng.usize(..5)];
            Request { tx: Tx::Slot(from.rng.u8(..3)), ..Request::new(TRANSACTION_END, payload) }
        }
        _ => {
            let domid = ["", "x", "1x", "-1", "65536", "01", "99999999999"][from.rng.usize(..7)];
            let kind = if from.rng.bool() { GET_DOMAIN_PATH } else { IS_DOMAIN_INTRODUCED };
            Request::new(kind, format!("{domid}\0").into_bytes())
        }
    };
    Step::Requests(who, vec![request])
}
