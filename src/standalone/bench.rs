//! The benchmark: requests of each kind, one at a time. Each is timed from before it is written to after its answer has
//! been read.

use core::fmt;

use super::{DOMIDS, Loopback};
use crate::client::{Answer, Failure, Machine};
use crate::wire::{MessageType, TxId};

/// What the guest does again and again.
pub struct Mix {
    pub name: &'static str,
    requests: &'static [(MessageType, &'static [u8])],
}

/// A node of the size and depth of a device's state, among ten.
pub const MIXES: [Mix; 6] = [
    // Only an event to the server, for comparison: each request has one event each way.
    Mix { name: "benchmark/notification", requests: &[] },
    Mix { name: "benchmark/READ", requests: &[(MessageType::Read, b"data/bench/3\0")] },
    Mix { name: "benchmark/WRITE", requests: &[(MessageType::Write, b"data/bench/3\x004")] },
    Mix { name: "benchmark/DIRECTORY", requests: &[(MessageType::Directory, b"data/bench\0")] },
    Mix {
        name: "benchmark/WRITE-RM",
        requests: &[(MessageType::Write, b"data/bench/new\x004"), (MessageType::Rm, b"data/bench/new\0")],
    },
    Mix {
        name: "benchmark/TRANSACTION",
        requests: &[
            (MessageType::TransactionStart, b"\0"),
            (MessageType::Read, b"data/bench/3\0"),
            (MessageType::Write, b"data/bench/3\x004"),
            (MessageType::TransactionEnd, b"T\0"),
        ],
    },
];

/// The result of one kind, in nanoseconds. The median is exact to 2 %.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    pub least: u32,
    pub median: u32,
    pub mean: u32,
    /// How often it was done.
    pub count: u32,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { least, median, mean, count } = self;
        write!(f, "{median} ns (least {least}, mean {mean}, of {count})")
    }
}

/// Times each of [`MIXES`] at least once, all of them in so many nanoseconds. What it has made in the store is removed.
pub fn run<M: Machine>(loopback: &mut Loopback<'_, M>, nanoseconds: u64) -> Answer<[Figures; MIXES.len()]> {
    const GUEST: [(MessageType, &[u8]); 3] = [
        (MessageType::Write, b"/local/domain/1\0"),
        (MessageType::SetPerms, b"/local/domain/1\0n1\0"),
        (MessageType::Introduce, b"1\x001\x001\0"),
    ];
    for (what, payload) in GUEST {
        loopback.tell(0, what, payload)?;
    }
    for digit in b'0'..=b'9' {
        let mut request = *b"data/bench/?\x004";
        request[11] = digit;
        loopback.tell(1, MessageType::Write, &request)?;
    }
    let mut all = [Figures::default(); MIXES.len()];
    for (mix, figures) in MIXES.iter().zip(&mut all) {
        *figures = time(loopback, mix, nanoseconds / MIXES.len() as u64)?;
    }
    loopback.tell(0, MessageType::Release, b"1\0")?;
    Ok(all)
}

/// Times one kind for so many nanoseconds, once at least.
fn time<M: Machine>(loopback: &mut Loopback<'_, M>, mix: &Mix, nanoseconds: u64) -> Answer<Figures> {
    let mut times = Times::new();
    let deadline = loopback.now() + nanoseconds;
    loop {
        let before = loopback.now();
        once(loopback, mix)?;
        let after = loopback.now();
        times.note(u32::try_from(after - before).unwrap_or(u32::MAX));
        if after >= deadline {
            return Ok(times.figures());
        }
    }
}

fn once<M: Machine>(loopback: &mut Loopback<'_, M>, mix: &Mix) -> Answer<()> {
    let mut tx_id = TxId::NONE;
    for (what, payload) in mix.requests {
        let mut answer = Err(Failure::Silent);
        loopback.exchange(1, *what as u32, tx_id, payload, &mut |header, payload| {
            if header.msg_type == *what as u32 {
                answer = Ok(number(payload));
            }
        })?;
        let number = answer?;
        if *what == MessageType::TransactionStart {
            tx_id = TxId(number);
        }
    }
    if mix.requests.is_empty()
        && let [client, _] = &mut *loopback.clients
    {
        client.notify();
    }
    Ok(())
}

/// The digits that a payload begins with, as a number.
fn number(payload: &[u8]) -> u32 {
    let digits = payload.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: u32, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}

/// Buckets that a power of two has.
const STEPS: u32 = 32;

/// A histogram of times: exact below twice `STEPS` nanoseconds, to half a step above.
struct Times {
    buckets: [u32; (STEPS * 28) as usize],
    least: u32,
    sum: u64,
    count: u32,
}

impl Times {
    fn new() -> Times {
        Times { buckets: [0; _], least: u32::MAX, sum: 0, count: 0 }
    }

    fn note(&mut self, time: u32) {
        let shift = (time | STEPS).ilog2() - STEPS.ilog2();
        if let Some(bucket) = self.buckets.get_mut((STEPS * shift + (time >> shift)) as usize) {
            *bucket += 1;
        }
        self.least = self.least.min(time);
        self.sum += u64::from(time);
        self.count += 1;
    }

    /// Of at least one time.
    fn figures(&self) -> Figures {
        let Times { least, count, .. } = *self;
        let mut up_to = 0;
        let median = self.buckets.iter().position(|bucket| {
            up_to += u64::from(*bucket);
            up_to * 2 >= u64::from(count)
        });
        let median = median.unwrap_or(0) as u32;
        let shift = (median / STEPS).saturating_sub(1);
        let median = (median - STEPS * shift) << shift | (1 << shift) >> 1;
        let mean = (self.sum / u64::from(count.max(1))) as u32;
        Figures { least, median: median.max(least), mean, count }
    }
}

const _: () = assert!(DOMIDS[1].0 == 1, "requests name the guest");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_of_more_than_half_of_what_can_be_counted() {
        let mut all = Times::new();
        for (time, count) in [(10, 1_000_000_000), (20, 1_500_000_000)] {
            all.note(time);
            all.buckets[time as usize] = count;
        }
        all.count = 2_500_000_000;
        assert_eq!(all.figures().median, 20);
    }

    #[test]
    fn figures_of_known_times() {
        for (times, least, median, mean) in [
            (&[5, 7, 6][..], 5, 6, 6),
            (&[100; 9], 100, 100, 100),
            (&[1_000_000, 1_000, 1_040, 1_080, 990], 990, 1040, 200_822),
            (&[u32::MAX; 3], u32::MAX, u32::MAX, u32::MAX),
        ] {
            let mut all = Times::new();
            times.iter().for_each(|time| all.note(*time));
            let figures = all.figures();
            assert_eq!((figures.least, figures.mean, figures.count), (least, mean, times.len() as u32));
            assert!(figures.median.abs_diff(median) <= median / 50, "{figures}, not {median}");
        }
    }
}
