//! A ring page as the guest sees it, in this process or in a file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use xenstore::abi::RingPage;

/// Bytes per direction.
pub const RING: u32 = 1024;

/// Words of the page that follow the two buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    ReqCons,
    ReqProd,
    RspCons,
    RspProd,
    Features,
    Connection,
    Error,
    Port,
}

impl Word {
    pub const ALL: [(&'static str, Word); 8] = [
        ("req_cons", Word::ReqCons),
        ("req_prod", Word::ReqProd),
        ("rsp_cons", Word::RspCons),
        ("rsp_prod", Word::RspProd),
        ("server_features", Word::Features),
        ("connection", Word::Connection),
        ("error", Word::Error),
        ("evtchn_port", Word::Port),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    fn offset(self) -> u64 {
        2048 + 4 * self as u64
    }
}

/// The two buffers of a page, by the offset of their first byte.
#[derive(Clone, Copy)]
pub enum Buffer {
    Requests = 0,
    Responses = 1024,
}

/// A page shared with a server.
pub trait Page {
    fn word(&self, word: Word) -> u32;
    fn set_word(&self, word: Word, value: u32);
    /// Reads from one buffer; the range does not cross its end.
    fn read(&self, buffer: Buffer, at: u32, bytes: &mut [u8]);
    /// Writes to one buffer; the range does not cross its end.
    fn write(&self, buffer: Buffer, at: u32, bytes: &[u8]);
}

/// A page that another process has mapped: the file behind it.
pub struct FilePage(pub File);

impl Page for FilePage {
    fn word(&self, word: Word) -> u32 {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, word.offset()).expect("a ring page's file has 4096 bytes");
        u32::from_le_bytes(bytes)
    }

    fn set_word(&self, word: Word, value: u32) {
        self.0.write_all_at(&value.to_le_bytes(), word.offset()).expect("a ring page's file can be written");
    }

    fn read(&self, buffer: Buffer, at: u32, bytes: &mut [u8]) {
        self.0
            .read_exact_at(bytes, buffer as u64 + u64::from(at))
            .expect("a ring page's file has 4096 bytes");
    }

    fn write(&self, buffer: Buffer, at: u32, bytes: &[u8]) {
        self.0.write_all_at(bytes, buffer as u64 + u64::from(at)).expect("a ring page's file can be written");
    }
}

/// A page of this process, shared with a server in it.
pub struct OwnPage(pub Arc<RingPage>);

impl OwnPage {
    fn atomic(&self, word: Word) -> &std::sync::atomic::AtomicU32 {
        match word {
            Word::ReqCons => &self.0.req_cons,
            Word::ReqProd => &self.0.req_prod,
            Word::RspCons => &self.0.rsp_cons,
            Word::RspProd => &self.0.rsp_prod,
            Word::Features => &self.0.server_features,
            Word::Connection => &self.0.connection,
            Word::Error => &self.0.error,
            Word::Port => &self.0.evtchn_port,
        }
    }

    fn buffer(&self, buffer: Buffer) -> &[AtomicU64] {
        match buffer {
            Buffer::Requests => &self.0.req,
            Buffer::Responses => &self.0.rsp,
        }
    }
}

impl Page for OwnPage {
    fn word(&self, word: Word) -> u32 {
        self.atomic(word).load(SeqCst)
    }

    fn set_word(&self, word: Word, value: u32) {
        self.atomic(word).store(value, SeqCst);
    }

    fn read(&self, buffer: Buffer, at: u32, bytes: &mut [u8]) {
        let words = self.buffer(buffer);
        for (byte, at) in bytes.iter_mut().zip(at as usize..) {
            *byte = words[at / 8].load(SeqCst).to_le_bytes()[at % 8];
        }
    }

    fn write(&self, buffer: Buffer, at: u32, bytes: &[u8]) {
        let words = self.buffer(buffer);
        for (byte, at) in bytes.iter().zip(at as usize..) {
            let mut word = words[at / 8].load(SeqCst).to_le_bytes();
            word[at % 8] = *byte;
            words[at / 8].store(u64::from_le_bytes(word), SeqCst);
        }
    }
}
