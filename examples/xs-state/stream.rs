//! The stream as records and fields. It is read by upstream's document alone, so it is also a second opinion on what the
//! library writes.

/// One record's body, from which fields are taken.
pub struct Record<'a> {
    pub kind: u32,
    pub body: Body<'a>,
}

#[derive(Clone, Copy)]
pub struct Body<'a> {
    bytes: &'a [u8],
    whole: &'a [u8],
    big_endian: bool,
}

pub struct Stream<'a> {
    pub version: u32,
    rest: &'a [u8],
    big_endian: bool,
}

impl<'a> Stream<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Stream<'a>, String> {
        let head = bytes.split_first_chunk::<16>().filter(|(head, _)| head.starts_with(b"xenstore"));
        let (head, rest) = head.ok_or("this is no state of a xenstore")?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        match word(8) {
            version @ 1..=2 => Ok(Stream { version, rest, big_endian: word(12) & 1 != 0 }),
            version => Err(format!("its version is {version}; 1 and 2 are read")),
        }
    }

    /// The next record; none at the end.
    pub fn next(&mut self) -> Result<Option<Record<'a>>, String> {
        let mut head = Body { bytes: self.rest, whole: self.rest, big_endian: self.big_endian };
        let (kind, len) = (head.u32()?, head.u32()? as usize);
        if kind == 0 {
            return Ok(None);
        }
        let body = head.bytes.get(..len).ok_or(CUT_OFF)?;
        self.rest = head.bytes.get(len.next_multiple_of(8)..).unwrap_or_default();
        Ok(Some(Record { kind, body: Body { bytes: body, whole: body, big_endian: self.big_endian } }))
    }
}

const CUT_OFF: &str = "the state is cut off";

impl<'a> Body<'a> {
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (now, rest) = self.bytes.split_at_checked(count).ok_or(CUT_OFF)?;
        self.bytes = rest;
        Ok(now)
    }

    fn number(&mut self, width: usize) -> Result<u64, String> {
        let bytes = self.bytes(width)?.iter();
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(if self.big_endian { bytes.fold(0, add) } else { bytes.rev().fold(0, add) })
    }

    pub fn u8(&mut self) -> Result<u8, String> {
        Ok(self.number(1)? as u8)
    }

    pub fn u16(&mut self) -> Result<u16, String> {
        Ok(self.number(2)? as u16)
    }

    pub fn u32(&mut self) -> Result<u32, String> {
        Ok(self.number(4)? as u32)
    }

    pub fn u64(&mut self) -> Result<u64, String> {
        self.number(8)
    }

    /// Passes over padding up to the next multiple of 8 in the record.
    pub fn align(&mut self) -> Result<(), String> {
        let read = self.whole.len() - self.bytes.len();
        self.bytes(read.next_multiple_of(8) - read).map(drop)
    }

    /// A string of so many bytes, its NUL included.
    pub fn string(&mut self, len: usize) -> Result<String, String> {
        let bytes = self.bytes(len)?;
        Ok(bytes.strip_suffix(b"\0").unwrap_or(bytes).escape_ascii().to_string())
    }

    /// So many values, and a name for each.
    pub fn named_values(&mut self, count: usize) -> Result<Vec<(String, u32)>, String> {
        let values = (0..count).map(|_| self.u32()).collect::<Result<Vec<_>, _>>()?;
        let mut named = Vec::new();
        for value in values {
            let end = self.bytes.iter().position(|byte| *byte == 0).ok_or(CUT_OFF)?;
            named.push((self.string(end + 1)?, value));
        }
        Ok(named)
    }
}
