//! TOLD, ours: changes of which somebody is to hear the rest when there is room for it.

use super::fault::Fault;
use super::format::{Copy, Fixed, Permission, TOLD, Told};
use super::lists::Lists;
use super::nodes::{Buffers, read_entries};
use super::reader::Reader;
use super::writer::Writer;
use crate::abi::DomId;
use crate::quota::Quotas;
use crate::slots::{Claim, Full};
use crate::store::{Change, Rest, Store, ToldCopy};

/// The changes that are kept, the oldest first.
pub fn save(writer: &mut Writer<'_>, store: &Store, lists: &mut Lists) -> Result<(), Full> {
    for (tx, open) in store.told() {
        let mut len = 0;
        for (_, copy) in store.copies(tx) {
            let told = copy.told();
            let entries: usize = told.lists.into_iter().map(|acl| lists.entries(store, acl).len()).sum();
            len += Copy::SIZE + entries + copy.path.len();
        }
        let by = store
            .payer_of(tx)
            .or(store.domains.privileged())
            .map_or(DomId::INVALID, |by| store.domains.get(by).domid);
        let head = Told {
            domid: by.0,
            padding: 0,
            copies: store.copies(tx).count() as u32,
            newest: open.newest,
            number: open.number,
        };
        writer.begin_with(TOLD, &head, len)?;
        for (_, copy) in store.copies(tx) {
            let told = copy.told();
            let mut count = |acl| (lists.entries(store, acl).len() / Permission::SIZE) as u16;
            let [old, own, above] = told.lists.map(&mut count);
            let fires = match told.fires {
                None => 0,
                Some(Change::Subtree) => 1,
                Some(Change::Exact) => 2,
            };
            let path = copy.path.len() as u16;
            writer.part(&Copy { fires, path, old, own, above, padding: 0 })?;
            for acl in told.lists {
                writer.bytes(lists.entries(store, acl))?;
            }
            copy.path.pieces(&store.blobs).try_for_each(|piece| writer.bytes(piece))?;
        }
        writer.end()?;
    }
    Ok(())
}

pub fn restore(
    reader: &mut Reader<'_>,
    store: &mut Store,
    quotas: &Quotas,
    buffers: &mut Buffers,
) -> Result<(), Fault> {
    let head: Told = reader.part()?;
    let by = store.domains.find(DomId(head.domid)).or(store.domains.privileged());
    let by = by.ok_or(Fault::UnknownDomain)?;
    let tx = store.attempt(Claim::Answer, |store| Ok(store.keep_again(by, head.newest, head.number)?))?;
    let Buffers { path, .. } = buffers;
    for _ in 0..head.copies {
        let copy: Copy = reader.part()?;
        let mut lists = [None; 3];
        for (place, count) in lists.iter_mut().zip([copy.old, copy.own, copy.above]) {
            read_entries(reader, store, quotas, count.into())?;
            if count > 0 {
                *place = Some(store.attempt(Claim::Answer, |store| Ok(store.intern()?))?);
            }
        }
        reader.gather(copy.path.into(), path, Fault::LongPath)?;
        let fires = match copy.fires {
            0 => None,
            1 => Some(Change::Subtree),
            _ => Some(Change::Exact),
        };
        store.attempt(Claim::Answer, |store| Ok(store.keep_copy(tx, path, ToldCopy { fires, lists })?))?;
    }
    Ok(())
}

/// What a message that stands for the rest of a change's events is about.
pub fn find(store: &Store, number: u64, copy: u32) -> Result<Rest, Fault> {
    store.rest_at(number, copy).ok_or(Fault::UnknownChange)
}
