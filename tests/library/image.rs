//! Images as files, for live updates, and how an operator sends them.

use support::Host;
use xenstore::update::{NOTE_NAME, NOTE_TYPE};

/// Where they lie.
pub const BASE: u64 = 0x10_0000;

/// What an image is made of; its default can take over.
#[derive(Clone)]
pub struct Image {
    pub machine: u16,
    pub address: u64,
    pub memory: u64,
    pub entry: Option<u64>,
    /// First and last version of the state, bits, version of the hand-over.
    pub promise: Option<[u32; 4]>,
    /// The last version of our own records, unless it is of before they were named.
    pub records: Option<u32>,
}

pub const GOOD: Image = Image {
    machine: 62,
    address: BASE,
    memory: 0x2000,
    entry: Some(BASE),
    promise: Some([1, 2, 1, 1]),
    records: None,
};

fn note(name: &[u8], kind: u32, value: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [name.len() as u32 + 1, value.len() as u32, kind] {
        note.extend(word.to_le_bytes());
    }
    note.extend(name);
    note.resize((note.len() + 1).next_multiple_of(4), 0);
    note.extend(value);
    note
}

impl Image {
    /// An ELF file of two headers: a segment of 256 bytes, and notes.
    pub fn file(&self) -> Vec<u8> {
        let entry = self.entry.map(|entry| note(b"Xen", 18, &entry.to_le_bytes()));
        let promise = self.promise.map(|words| {
            words.into_iter().chain(self.records).flat_map(u32::to_le_bytes).collect::<Vec<_>>()
        });
        let promise = promise.map(|value| note(NOTE_NAME, NOTE_TYPE, &value));
        let notes = [entry.unwrap_or_default(), promise.unwrap_or_default()].concat();
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[18..20].copy_from_slice(&self.machine.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[56..58].copy_from_slice(&2_u16.to_le_bytes());
        let notes_at = 64 + 2 * 56;
        let text_at = notes_at + notes.len();
        for (kind, at, address, in_file, in_memory) in
            [(1_u32, text_at, self.address, 256, self.memory), (4, notes_at, 0, notes.len(), 0)]
        {
            file.extend(kind.to_le_bytes());
            file.extend(5_u32.to_le_bytes());
            for field in [at as u64, address, address, in_file as u64, in_memory, 1] {
                file.extend(field.to_le_bytes());
            }
        }
        file.extend(notes);
        file.resize(file.len() + 256, 0x90);
        file
    }
}

/// Sends all of a file, `declared` as its size.
pub fn upload(host: &mut Host, file: &[u8], declared: usize) {
    host.ok(0, 0, &format!("CONTROL live-update|-b|{declared}|"));
    for part in file.chunks(200) {
        let mut payload = format!("live-update\0-d\0{}\0", part.len()).into_bytes();
        payload.extend(part);
        payload.push(0);
        host.send_raw(0, 0, 0, &payload);
        host.poll();
        host.hears(0, "OK|");
    }
}
