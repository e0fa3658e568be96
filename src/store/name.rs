//! A node's name: in the node if it is short, well known, or one of few characters, else in a blob.
//!
//! Devices of all guests have nodes of the same few names. Each of those is in the image once, and a node has its number
//! instead. A name of up to eleven lower-case letters, digits and `-_@` is a number by itself.

use super::radix;
use crate::slots::{Blob, Blobs, Full, Text};
use crate::words::{equal, last_word};

/// Bytes of a name that any node has room for.
pub const NAME_INLINE: usize = 7;

/// Longer names that devices and guests have in common, the shorter ones first, those of one length in order. From Xen's
/// public/io headers, libxl, and the drivers of Linux.
const NAMES: &[&[u8]] = &[
    b"bootable",
    b"frontend",
    b"keyboard",
    b"page-ref",
    b"protocol",
    b"ring-ref",
    b"shutdown",
    b"videoram",
    b"removable",
    b"ring-ref0",
    b"ring-ref1",
    b"vnclisten",
    b"vncpasswd",
    b"xenstored",
    b"backend-id",
    b"dm-version",
    b"feature-sg",
    b"start_time",
    b"static-max",
    b"device-type",
    b"frontend-id",
    b"rx-ring-ref",
    b"sector-size",
    b"tx-ring-ref",
    b"availability",
    b"backend-type",
    b"backend-uuid",
    b"console-type",
    b"device-model",
    b"script-error",
    b"shadow-total",
    b"xdp-headroom",
    b"console-limit",
    b"ctrl-ring-ref",
    b"event-channel",
    b"frontend-uuid",
    b"hotplug-error",
    b"memory-offset",
    b"specification",
    b"@releaseDomain",
    b"direct-io-safe",
    b"discard-enable",
    b"discard-secure",
    b"feature-reboot",
    b"feature-update",
    b"hotplug-status",
    b"max-ring-pages",
    b"num-ring-pages",
    b"request-update",
    b"unplugged-nics",
    b"virtual-device",
    b"feature-balloon",
    b"feature-barrier",
    b"feature-discard",
    b"feature-rx-copy",
    b"feature-rx-flip",
    b"feature-suspend",
    b"feature-trusted",
    b"physical-device",
    b"request-rx-copy",
    b"ring-page-order",
    b"unplugged-disks",
    b"@introduceDomain",
    b"event-channel-rx",
    b"event-channel-tx",
    b"feature-poweroff",
    b"target-tot-pages",
    b"discard-alignment",
    b"feature-ctrl-ring",
    b"feature-gso-tcpv4",
    b"feature-gso-tcpv6",
    b"feature-rx-notify",
    b"event-channel-ctrl",
    b"feature-persistent",
    b"discard-granularity",
    b"feature-abs-pointer",
    b"feature-flush-cache",
    b"feature-raw-pointer",
    b"max-ring-page-order",
    b"request-abs-pointer",
    b"request-raw-pointer",
    b"toolstack-connected",
    b"feature-xdp-headroom",
    b"physical-sector-size",
    b"allow-memory-relocate",
    b"multi-queue-max-queues",
    b"multi-queue-num-queues",
    b"feature-no-csum-offload",
    b"feature-gso-tcpv4-prefix",
    b"feature-gso-tcpv6-prefix",
    b"feature-ipv6-csum-offload",
    b"feature-multicast-control",
    b"request-multicast-control",
    b"feature-split-event-channels",
    b"feature-max-indirect-segments",
    b"feature-dynamic-multicast-control",
    b"platform-feature-xs_reset_watches",
    b"platform-feature-multiprocessor-suspend",
];

const _: () = assert!(NAMES.len() < 127 && radix::END <= Text::LARGE_END);

/// More than names, so that few of them share one.
const BUCKETS: usize = 128;

/// Where names of this length with these last eight bytes are.
const fn bucket(end: u64, len: usize) -> usize {
    // The golden ratio of 2^64: its product spreads all bits over the high ones.
    ((end ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BUCKETS.trailing_zeros()))
        as usize
}

const fn bucket_of(name: &[u8]) -> usize {
    let Some(end) = name.last_chunk() else { panic!("a name that each node has room for") };
    bucket(u64::from_le_bytes(*end), name.len())
}

/// They lie one behind the other, bucket by bucket, which takes four bytes for each instead of a pointer and a length.
#[repr(C)] // A name is found in fewer steps where they come first.
struct WellKnown<const BYTES: usize> {
    bytes: [u8; BYTES],
    /// Where each begins, and its length.
    places: [[u16; 2]; NAMES.len()],
    /// The first of each bucket, and one past the last of all.
    firsts: [u8; BUCKETS + 1],
}

static WELL_KNOWN: WellKnown<{ length_of_all() }> = {
    let (bytes, places) = ([0; length_of_all()], [[0; 2]; NAMES.len()]);
    let mut all = WellKnown { bytes, places, firsts: [0; BUCKETS + 1] };
    let (mut bucket, mut number, mut at) = (0, 0, 0);
    while bucket < BUCKETS {
        let mut next = 0;
        while next < NAMES.len() {
            let (name, start) = (NAMES[next], at);
            next += 1;
            if bucket_of(name) != bucket {
                continue;
            }
            while at < start + name.len() {
                all.bytes[at] = name[at - start];
                at += 1;
            }
            all.places[number] = [start as u16, name.len() as u16];
            number += 1;
        }
        bucket += 1;
        all.firsts[bucket] = number as u8;
    }
    all
};

const fn length_of_all() -> usize {
    let (mut number, mut length) = (0, 0);
    while number < NAMES.len() {
        length += NAMES[number].len();
        number += 1;
    }
    length
}

impl<const BYTES: usize> WellKnown<BYTES> {
    /// The name with this number, if that is one's.
    #[inline(always)]
    fn get(&self, number: u8) -> Option<&[u8]> {
        let [start, len] = *self.places.get(usize::from(number))?;
        self.bytes.get(usize::from(start)..usize::from(start) + usize::from(len))
    }

    /// The number of this name.
    fn number(&self, name: &[u8]) -> Option<u8> {
        let bucket = bucket(last_word(name)?, name.len());
        let [first, behind] = *self.firsts.get(bucket..)?.first_chunk()?;
        (first..behind).find(|number| self.get(*number).is_some_and(|known| equal(known, name)))
    }
}

/// Owned: whoever drops it must free it.
#[derive(Clone, Copy)]
pub struct Name(Text<NAME_INLINE>);

impl Name {
    pub const EMPTY: Name = Name(Text::EMPTY);

    #[inline(never)] // In many places.
    pub fn store(blobs: &mut Blobs, bytes: &[u8]) -> Result<Name, Full> {
        match Text::inline_of(bytes) {
            Some(text) => Ok(Name(text)),
            None => Name::store_long(blobs, bytes),
        }
    }

    /// As `store`, of the end of a path.
    #[inline(always)] // Of each node that a state has.
    pub fn store_end(blobs: &mut Blobs, path: &[u8], name: &[u8]) -> Result<Name, Full> {
        match Text::inline_end_of(path, name.len()) {
            Some(text) => Ok(Name(text)),
            None => Name::store(blobs, name),
        }
    }

    fn store_long(blobs: &mut Blobs, bytes: &[u8]) -> Result<Name, Full> {
        Ok(Name(Name::as_number(bytes).map_or_else(|| Text::store(blobs, bytes), Ok)?))
    }

    /// The number that stands for a longer name, if there is one.
    #[inline(never)] // In many places.
    fn as_number(bytes: &[u8]) -> Option<Text<NAME_INLINE>> {
        let well_known = WELL_KNOWN.number(bytes).and_then(Text::of_number);
        well_known.or_else(|| radix::number(bytes).and_then(Text::of_large))
    }

    /// Whether a number stands for a longer name, which is cheaper to find out than the number.
    #[inline(never)] // In many places.
    fn has_number(bytes: &[u8]) -> bool {
        radix::has_number(bytes) || WELL_KNOWN.number(bytes).is_some()
    }

    #[inline(always)]
    fn well_known_here(&self) -> Option<&'static [u8]> {
        WELL_KNOWN.get(self.0.number())
    }

    /// The bytes that a number stands for, perhaps in `decoded`; none if the name is in a blob.
    #[inline(never)] // In many places.
    fn of_number<'a>(&self, decoded: &'a mut radix::Buf) -> Option<&'a [u8]> {
        match self.0.large() {
            Some(number) => Some(radix::name(number, decoded)),
            None => self.well_known_here(),
        }
    }

    /// The bytes, perhaps in `decoded`, unless they are in a blob.
    #[inline(always)]
    fn inline<'a>(&'a self, decoded: &'a mut radix::Buf) -> Option<&'a [u8]> {
        self.0.inline().or_else(|| self.of_number(decoded))
    }

    /// The bytes and whatever is behind them, if the name is a short one.
    #[inline(always)] // So that they are copied without a call.
    pub fn in_place(&self) -> Option<&[u8; NAME_INLINE]> {
        self.0.in_place()
    }

    /// The bytes in one piece, in `buf` if they are not so already.
    #[inline(always)] // For each name of a list of children.
    pub fn contiguous<'a, const M: usize>(
        &'a self,
        blobs: &Blobs,
        buf: &'a mut heapless::Vec<u8, M>,
    ) -> &'a [u8] {
        match self.0.inline().or_else(|| self.well_known_here()) {
            Some(bytes) => bytes,
            None => match self.0.large() {
                Some(number) => Name::decode(number, buf),
                None => self.gather(blobs, buf),
            },
        }
    }

    #[inline(never)] // In several lists.
    fn decode<const M: usize>(number: u64, buf: &mut heapless::Vec<u8, M>) -> &[u8] {
        const { assert!(M >= radix::MOST) };
        let _fits = buf.resize(radix::MOST, 0);
        buf.first_chunk_mut().map_or(&[], |decoded| radix::name(number, decoded))
    }

    /// The same of a name that is in a blob.
    #[inline(never)]
    fn gather<'a, const M: usize>(&'a self, blobs: &Blobs, buf: &'a mut heapless::Vec<u8, M>) -> &'a [u8] {
        buf.clear();
        // No name is longer than there is room for.
        let _fits = self.append(blobs, buf);
        buf
    }

    pub fn len(&self) -> usize {
        self.inline(&mut radix::Buf::default()).map_or_else(|| self.0.len(), <[u8]>::len)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn free(self, blobs: &mut Blobs) -> Result<(), Full> {
        self.0.free(blobs)
    }

    /// Bytes of blob memory that this name takes beside its node.
    pub fn spilled(&self) -> u32 {
        self.0.spilled()
    }

    /// Bytes of blob memory that a node with this name takes for it.
    pub fn memory(bytes: &[u8]) -> u32 {
        match bytes.len() <= NAME_INLINE || Name::has_number(bytes) {
            true => 0,
            false => Blob::memory(bytes.len()),
        }
    }

    /// The same in chunks.
    pub fn chunks(bytes: &[u8]) -> u8 {
        (Name::memory(bytes) / Blob::CHUNK_MEMORY) as u8
    }

    pub fn equals(&self, blobs: &Blobs, other: &[u8]) -> bool {
        self.inline(&mut radix::Buf::default())
            .map_or_else(|| self.0.equals(blobs, other), |bytes| bytes == other)
    }

    /// `path` without `/` and this name at its end; `None` if it does not end so.
    pub fn strip_from<'a>(&self, blobs: &Blobs, path: &'a [u8]) -> Option<&'a [u8]> {
        let mut decoded = radix::Buf::default();
        match self.0.inline().map_or_else(|| self.of_number(&mut decoded), |_| None) {
            Some(name) => path.strip_suffix(name)?.strip_suffix(b"/"),
            None => self.0.strip_from(blobs, path),
        }
    }

    /// Appends the bytes to `out`, which must have room.
    #[inline(never)] // In many places.
    pub fn append<const M: usize>(&self, blobs: &Blobs, out: &mut heapless::Vec<u8, M>) -> Result<(), Full> {
        match self.inline(&mut radix::Buf::default()) {
            Some(bytes) => out.extend_from_slice(bytes).map_err(|_| Full),
            None => self.0.append(blobs, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Attempt;

    #[test]
    fn what_has_a_number_takes_no_chunk_and_reads_as_any_other() {
        assert!(NAMES.is_sorted_by_key(|name| (name.len(), *name)));
        let others: [&[u8]; 7] =
            [b"", b"state", b"backends", b"backend-i", b"event-chann", b"event-channel-", b"Backends"];
        for name in NAMES.iter().copied().chain(others) {
            let mut blobs = Blobs::new(&Attempt::new(), 4, 4);
            let stored = Name::store(&mut blobs, name).unwrap();
            let chunks = matches!(name, b"event-channel-" | b"Backends");
            assert_eq!(blobs.arena().used(), u32::from(chunks), "{}", name.escape_ascii());
            assert_eq!((stored.spilled() > 0, Name::memory(name)), (chunks, stored.spilled()));
            let mut buf = heapless::Vec::<u8, 64>::new();
            assert_eq!(stored.contiguous(&blobs, &mut buf), name);
            let mut path = heapless::Vec::<u8, 64>::from_slice(b"/a/").unwrap();
            stored.append(&blobs, &mut path).unwrap();
            assert_eq!((&path[3..], stored.len(), stored.is_empty()), (name, name.len(), name.is_empty()));
            assert_eq!(stored.strip_from(&blobs, &path), Some(&b"/a"[..]));
            path[2] = b'-';
            assert_eq!(stored.strip_from(&blobs, &path), None);
            assert!(stored.equals(&blobs, name) && !stored.equals(&blobs, b"\0\0"));
        }
    }
}
