//! TRACE and MARK, ours: the newest records of the trace, as far as there is room for them, and the texts of marks.

use heapless::Vec;

use super::fault::Fault;
use super::format::{Fixed, MARK, Mark, TRACE, Trace as Head};
use super::reader::Reader;
use super::writer::Writer;
use crate::slots::Full;
use crate::trace::{Names, Record, Trace};
use crate::wire::{Header, PAYLOAD_MAX};

/// Most records. A live update waits for all that is written.
const RECORDS: u64 = 1024;

/// Bytes for what is not a record: marks, and the end of the stream.
const BESIDE: u64 = (Names::MARKS * (Mark::SIZE + Names::TEXT_MAX + 16)) as u64 + 64;

/// Writes as many records as fit `room` bytes with the marks, so that the stream can end behind them.
#[inline(never)] // Once, and apart from what each node takes.
pub fn save(writer: &mut Writer<'_>, trace: &Trace, room: u64) -> Result<(), Full> {
    let most = RECORDS.min(room.saturating_sub(BESIDE) / Record::SIZE as u64);
    let first = trace.first().max(trace.end().saturating_sub(most));
    let count = (trace.end() - first) as usize;
    if count == 0 {
        return Ok(());
    }
    writer.begin_with(TRACE, &Head { first }, count * Record::SIZE)?;
    trace.from(first).try_for_each(|record| writer.bytes_in_place(&record.to_bytes()))?;
    writer.end()?;
    for (hash, text) in trace.marks() {
        writer.begin_with(MARK, &Mark { hash, len: text.len() as u16 }, text.len())?;
        writer.bytes(text)?;
        writer.end()?;
    }
    Ok(())
}

#[inline(never)] // As above.
pub fn restore(reader: &mut Reader<'_>, trace: &mut Trace) -> Result<(), Fault> {
    let head: Head = reader.part()?;
    if head.first > u64::MAX / 2 {
        return Err(Fault::HighNumber);
    }
    trace.go_on_from(head.first);
    reader.each_chunk(|bytes| {
        // A newer server records what this one does not know.
        if let Some(record) = Record::from_bytes(bytes) {
            trace.put_back(record);
        }
    })
}

pub fn restore_mark(
    reader: &mut Reader<'_>,
    trace: &mut Trace,
    text: &mut Vec<u8, { Header::SIZE + PAYLOAD_MAX }>,
) -> Result<(), Fault> {
    let Mark { hash, len } = reader.part()?;
    reader.gather(len.into(), text, Fault::LongValue)?;
    trace.name_mark(hash, text);
    Ok(())
}
