//! A message under construction. Its payload grows behind the room for its header, so that both are sent in one piece.

use super::{Header, PAYLOAD_MAX, XsError};
use crate::words::word;

pub struct MessageBuf {
    bytes: [u8; Header::SIZE + PAYLOAD_MAX],
    /// Bytes used, those of the header included.
    end: usize,
}

impl MessageBuf {
    pub const EMPTY: MessageBuf = MessageBuf { bytes: [0; Header::SIZE + PAYLOAD_MAX], end: Header::SIZE };

    pub fn clear(&mut self) {
        self.end = Header::SIZE;
    }

    /// Bytes of payload.
    pub fn len(&self) -> usize {
        self.end - Header::SIZE
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_full(&self) -> bool {
        self.len() == PAYLOAD_MAX
    }

    pub fn payload(&self) -> &[u8] {
        self.bytes.get(Header::SIZE..self.end).unwrap_or_default()
    }

    /// The whole message, header included, as `finish` has left it.
    pub fn message(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Forgets all but the first `len` bytes of payload.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(Header::SIZE + len);
    }

    /// Appends to the payload. E2BIG if it does not fit; then nothing is appended.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), XsError> {
        let end = self.end + bytes.len();
        self.bytes.get_mut(self.end..end).ok_or(XsError::E2BIG)?.copy_from_slice(bytes);
        self.end = end;
        Ok(())
    }

    /// As `push`, for the first bytes of a word, which takes no call.
    #[inline(always)]
    pub fn push_word(&mut self, word: &[u8; 8], len: usize) -> Result<(), XsError> {
        match self.bytes.get_mut(self.end..).and_then(<[u8]>::first_chunk_mut) {
            Some(place) => *place = *word,
            None => return self.push(word.get(..len).unwrap_or_default()),
        }
        self.end += len;
        Ok(())
    }

    /// Has this string as the payload, with its NUL.
    #[inline(always)]
    pub fn set_string(&mut self, string: &[u8]) -> Result<(), XsError> {
        self.clear();
        self.push_string(string)
    }

    /// Appends a string with its NUL.
    #[inline]
    pub fn push_string(&mut self, string: &[u8]) -> Result<(), XsError> {
        let end = self.end + string.len() + 1;
        let place = self.bytes.get_mut(self.end..end).and_then(<[u8]>::split_last_mut);
        let (nul, place) = place.ok_or(XsError::E2BIG)?;
        place.copy_from_slice(string);
        *nul = 0;
        self.end = end;
        Ok(())
    }

    /// The same where most have 16 bytes at most: those take no call, but two words that may overlap.
    #[inline(always)]
    pub fn push_short(&mut self, string: &[u8]) -> Result<(), XsError> {
        const MOST: usize = 16;
        let (start, len) = (self.end, string.len());
        let place = self.bytes.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<{ MOST + 1 }>);
        let Some(place) = place.filter(|_| len <= MOST) else { return self.push_string(string) };
        if let Some(first) = place.first_chunk_mut() {
            *first = word(string, 0).to_le_bytes();
        }
        if let Some(last) = string.last_chunk::<8>()
            && let Some(end) = place.get_mut(..len).and_then(<[u8]>::last_chunk_mut)
        {
            *end = *last;
        }
        if let Some(nul) = place.get_mut(len) {
            *nul = 0;
        }
        self.end = start + len + 1;
        Ok(())
    }

    /// The whole message, with this header but the payload's own length.
    pub fn finish(&mut self, header: Header) -> &[u8] {
        let header = Header { len: self.len() as u32, ..header };
        if let Some(place) = self.bytes.first_chunk_mut() {
            *place = header.emit();
        }
        self.message()
    }
}

impl core::fmt::Write for MessageBuf {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes()).map_err(|_| core::fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TxId;

    #[test]
    fn what_is_short_is_appended_like_any_other() {
        let digits = b"0123456789abcdefghij";
        for (before, len) in (0..=24).flat_map(|before| (0..=digits.len()).map(move |len| (before, len))) {
            for before in [before, PAYLOAD_MAX - before] {
                let (mut plain, mut short) = (MessageBuf::EMPTY, MessageBuf::EMPTY);
                plain.push(&[7; PAYLOAD_MAX][..before]).unwrap();
                short.push(&[7; PAYLOAD_MAX][..before]).unwrap();
                let string = &digits[..len];
                assert_eq!(short.push_short(string), plain.push_string(string), "{before} {len}");
                assert_eq!(short.payload(), plain.payload(), "{before} {len}");
                let first = &digits[..len.min(8)];
                let pushed = short.push_word(&word(first, 0).to_le_bytes(), first.len());
                assert_eq!((pushed, short.payload()), (plain.push(first), plain.payload()), "{before} {len}");
            }
        }
    }

    #[test]
    fn a_payload_takes_a_page_and_no_more() {
        let mut message = MessageBuf::EMPTY;
        assert_eq!(message.push(&[7; PAYLOAD_MAX - 2]), Ok(()));
        assert_eq!(message.push_string(b"ab"), Err(XsError::E2BIG));
        assert_eq!(message.push_string(b"a"), Ok(()));
        assert!(message.is_full());
        assert_eq!(message.push(b"x"), Err(XsError::E2BIG));
        message.truncate(3);
        assert_eq!((message.len(), message.push_string(b"bc")), (3, Ok(())));
        let header = Header { msg_type: 2, req_id: 9, tx_id: TxId(4), len: 77 };
        let bytes = message.finish(header);
        assert_eq!(bytes[..16], Header { len: 6, ..header }.emit());
        assert_eq!(&bytes[16..], b"\x07\x07\x07bc\0");
    }
}
