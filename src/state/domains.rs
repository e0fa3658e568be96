//! GLOBAL_QUOTA and DOMAIN, and of ours KNOWN, LIMITS, PEAK and SUMS: domains, their quotas, and what has been counted.

use heapless::Vec;

use super::fault::Fault;
use super::format::{
    Count, DOMAIN, Domain, Fixed, GLOBAL_QUOTA, GlobalQuota, KNOWN, Known, LIMITS, PEAK, SHUT_DOWN, SUMS,
    Sums,
};
use super::reader::Reader;
use super::writer::Writer;
use crate::abi::{DomId, ServerFeatures};
use crate::config::Settings;
use crate::quota::{QUOTAS, Quota, Quotas};
use crate::slots::Full;
use crate::store::{DomainId, Store};
use crate::trace::{Recorder, Tally};

/// Longest name of a quota that is looked at, bytes.
const NAME_MAX: usize = 32;

/// Bytes of the values of all quotas, and of their names with a NUL each.
const VALUES: usize = QUOTAS.len() * Count::SIZE;
const NAMES: usize = {
    let (mut n, mut len) = (0, 0);
    while n < QUOTAS.len() {
        len += QUOTAS[n].name.len() + 1;
        n += 1;
    }
    len
};

static ALL_NAMES: [u8; NAMES] = {
    let mut all = [0; NAMES];
    let (mut n, mut at) = (0, 0);
    while n < QUOTAS.len() {
        let name = QUOTAS[n].name.as_bytes();
        let (_, rest) = all.split_at_mut(at);
        rest.split_at_mut(name.len()).0.copy_from_slice(name);
        at += name.len() + 1;
        n += 1;
    }
    all
};

fn put_quotas(writer: &mut Writer<'_>, quotas: &Quotas) -> Result<(), Full> {
    let mut values = [0; VALUES];
    for (place, quota) in values.as_chunks_mut().0.iter_mut().zip(QUOTAS) {
        *place = (quota.get)(quotas).to_le_bytes();
    }
    writer.bytes(&values)?;
    writer.bytes(&ALL_NAMES)?;
    writer.end()
}

pub fn save_settings(writer: &mut Writer<'_>, quotas: &Quotas) -> Result<(), Full> {
    let head = GlobalQuota { domain: QUOTAS.len() as u16, global: 0 };
    writer.begin_with(GLOBAL_QUOTA, &head, VALUES + NAMES)?;
    put_quotas(writer, quotas)
}

fn put_domain(
    writer: &mut Writer<'_>,
    record: u32,
    domid: DomId,
    features: u32,
    quotas: &Quotas,
) -> Result<(), Full> {
    let head = Domain { domid: domid.0, quotas: QUOTAS.len() as u16, features };
    writer.begin_with(record, &head, VALUES + NAMES)?;
    put_quotas(writer, quotas)
}

/// All that have a record, before whatever names them.
pub fn save_known(writer: &mut Writer<'_>, store: &Store) -> Result<(), Full> {
    // As long as the general event for some is still to come, whoever goes on from here announces them all.
    let are_told = !store.intents.get().shut_down;
    for (id, domain) in store.domains.known() {
        let known = Known {
            domid: domain.domid.0,
            flags: if domain.shutdown && are_told { SHUT_DOWN } else { 0 },
            transaction: store.held.of(id).last_tx,
            unique_id: domain.unique_id,
            features: domain.features.bits(),
            padding: 0,
        };
        writer.record(KNOWN, &known)?;
    }
    Ok(())
}

/// Quotas and features. Upstream stops at a DOMAIN that it has not heard of: those are in records of ours.
pub fn save_limits(
    writer: &mut Writer<'_>,
    store: &Store,
    version: u32,
    id: DomainId,
    introduced: bool,
) -> Result<(), Full> {
    let domain = store.domains.get(id);
    let heard_of = introduced || store.held.of(id).usage.nodes > 0;
    let features = if version > 1 { domain.features.bits() } else { 0 };
    put_domain(writer, if heard_of { DOMAIN } else { LIMITS }, domain.domid, features, &domain.quotas)
}

pub fn save_counted(writer: &mut Writer<'_>, store: &Store, recorder: &Recorder) -> Result<(), Full> {
    put_domain(writer, PEAK, DomId::INVALID, 0, &store.peak_of_gone())?;
    for (id, domain) in store.domains.known() {
        put_domain(writer, PEAK, domain.domid, 0, &store.most(id))?;
        if let Some(tally) = recorder.domain(id.index()) {
            put_sums(writer, 1, domain.domid.0, tally)?;
        }
    }
    for (of, tally) in recorder.types().iter().enumerate() {
        put_sums(writer, 0, of as u16, tally)?;
    }
    Ok(())
}

/// Most counts of a tally.
const COUNTS: usize = size_of::<Tally>() / Count::SIZE;

fn put_sums(writer: &mut Writer<'_>, kind: u16, of: u16, tally: &Tally) -> Result<(), Full> {
    if *tally == Tally::EMPTY {
        return Ok(());
    }
    let Tally { received, sent, cycles, times, errors, .. } = tally;
    let head = Sums {
        kind,
        of,
        times: times.len() as u16,
        errors: errors.len() as u16,
        received: *received,
        sent: *sent,
        cycles: *cycles,
    };
    let mut copy = *tally;
    let mut counts = Vec::<_, COUNTS>::new();
    copy.counts().for_each(|count| {
        // There is room for as many as a tally can have.
        let _fits = counts.push(count.to_le_bytes());
    });
    writer.begin_with(SUMS, &head, Count::SIZE * counts.len())?;
    writer.bytes(counts.as_flattened())?;
    writer.end()
}

/// Values, then names: those that this server has are set.
fn read_quotas(reader: &mut Reader<'_>, count: usize, quotas: &mut Quotas) -> Result<(), Fault> {
    // Mostly they are ours, in our order, and lie in one piece.
    if let Some((values, names)) = reader.ahead().split_first_chunk::<VALUES>()
        && count == QUOTAS.len()
        && names.starts_with(&ALL_NAMES)
    {
        for (value, quota) in values.as_chunks().0.iter().zip(QUOTAS) {
            (quota.set)(quotas, u32::from_le_bytes(*value));
        }
        return reader.skip(VALUES + NAMES);
    }
    let mut values: Vec<u32, 64> = Vec::new();
    for _ in 0..count {
        let value = reader.number()?;
        values.push(value).map_err(|_| Fault::TooManyQuotas)?;
    }
    for value in values {
        let mut name: Vec<u8, NAME_MAX> = Vec::new();
        reader.text(&mut name)?;
        if let Some(quota) = Quota::named(&name) {
            (quota.set)(quotas, value);
        }
    }
    Ok(())
}

pub fn restore_settings(reader: &mut Reader<'_>, settings: &mut Settings) -> Result<(), Fault> {
    let GlobalQuota { domain, global } = reader.part()?;
    read_quotas(reader, usize::from(domain) + usize::from(global), &mut settings.quotas)
}

/// The record of a domain that is named. Whether it lives is found out when the server goes on.
#[inline(never)] // Wherever a domain is named.
pub fn know(store: &mut Store, domid: DomId, quotas: &Quotas) -> Result<DomainId, Fault> {
    if domid >= DomId::FIRST_RESERVED {
        return Err(Fault::NoSuchDomid);
    }
    match store.domains.find(domid) {
        Some(id) => Ok(id),
        None => store.admit(domid, 0, *quotas).map_err(|_| Fault::NoRoomForDomain),
    }
}

pub fn restore_known(reader: &mut Reader<'_>, store: &mut Store, quotas: &Quotas) -> Result<(), Fault> {
    let known: Known = reader.part()?;
    let id = know(store, DomId(known.domid), quotas)?;
    store.held.update(id).last_tx = known.transaction;
    let domain = store.domains.update(id);
    domain.shutdown = known.flags & SHUT_DOWN != 0;
    domain.unique_id = known.unique_id;
    domain.features = ServerFeatures::from_bits_truncate(known.features);
    Ok(())
}

/// DOMAIN or LIMITS.
pub fn restore_limits(
    reader: &mut Reader<'_>,
    store: &mut Store,
    version: u32,
    quotas: &Quotas,
) -> Result<(), Fault> {
    let head: Domain = reader.part()?;
    let id = know(store, DomId(head.domid), quotas)?;
    let domain = store.domains.update(id);
    if version > 1 {
        domain.features = ServerFeatures::from_bits_truncate(head.features);
    }
    read_quotas(reader, head.quotas.into(), &mut domain.quotas)
}

pub fn restore_peak(reader: &mut Reader<'_>, store: &mut Store) -> Result<(), Fault> {
    let head: Domain = reader.part()?;
    let mut peak = Quotas::NOTHING;
    read_quotas(reader, head.quotas.into(), &mut peak)?;
    match store.domains.find(DomId(head.domid)) {
        Some(id) => store.set_most(id, peak),
        None if DomId(head.domid) == DomId::INVALID => store.set_peak_of_gone(peak),
        None => return Err(Fault::UnknownDomain),
    }
    Ok(())
}

pub fn restore_sums(reader: &mut Reader<'_>, store: &Store, recorder: &mut Recorder) -> Result<(), Fault> {
    let head: Sums = reader.part()?;
    let tally = match head.kind {
        0 => recorder.type_mut(head.of.into()),
        _ => store.domains.find(DomId(head.of)).and_then(|id| recorder.domain_mut(id.index())),
    };
    let Some(tally) = tally else { return Ok(()) };
    let same = usize::from(head.times) == tally.times.len() && usize::from(head.errors) == tally.errors.len();
    if !same {
        return Ok(());
    }
    (tally.received, tally.sent, tally.cycles) = (head.received, head.sent, head.cycles);
    let mut counts = tally.counts();
    reader.each_part(|Count { count }| Ok(counts.next().map(|place| *place = count).is_some()))?;
    if counts.next().is_none() { Ok(()) } else { Err(Fault::TooShort) }
}
