//! Which records count.

use xenstore::abi::DomId;
use xenstore::platform::Cycles;
use xenstore::trace::{Kind, Record};

use crate::arguments::Filter;
use crate::dump::Dump;
use store_client::Problem;

/// A filter that was found to fit a dump.
pub struct Chosen<'a> {
    dump: &'a Dump,
    filter: &'a Filter,
}

/// Whether one of the list fits, or it is empty.
fn any<T>(list: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

impl<'a> Chosen<'a> {
    /// # Errors
    /// For a domain that the dump does not have, and for times between which nothing can be.
    pub fn new(dump: &'a Dump, filter: &'a Filter) -> Result<Chosen<'a>, Problem> {
        possible(filter)?;
        let there = domains(dump);
        for domain in filter.domains.iter().chain(&filter.not_domains) {
            if !there.iter().any(|domid| is_named(dump, *domid, domain)) {
                let there: Vec<String> = there.iter().map(|domid| dump.domain(*domid)).collect();
                return Err(Problem::mistake(format!(
                    "no record is of a domain '{domain}'; there are {}",
                    there.join(", ")
                )));
            }
        }
        Ok(Chosen { dump, filter })
    }

    /// Of records to which others will come: a domain may be there later.
    pub fn of_any_domain(dump: &'a Dump, filter: &'a Filter) -> Chosen<'a> {
        Chosen { dump, filter }
    }

    pub fn lets_pass(&self, record: &Record) -> bool {
        let (dump, filter) = (self.dump, self.filter);
        let typed = matches!(record.kind, Kind::Begun | Kind::Ended | Kind::Refused);
        let is_type = |wanted: &_| typed && *wanted as u32 == u32::from(record.msg_type);
        let is_domain = |domain: &String| is_named(dump, record.domid, domain);
        let is_path = |path: &String| record.hash != 0 && dump.path(record.hash).starts_with(path.as_str());
        let is_error = |error: &_| record.error == Some(*error);
        any(&filter.domains, is_domain)
            && any(&filter.types, is_type)
            && any(&filter.kinds, |kind| *kind == record.kind)
            && any(&filter.errors, is_error)
            && any(&filter.paths, is_path)
            && !filter.not_domains.iter().any(is_domain)
            && !filter.not_types.iter().any(is_type)
            && !filter.not_kinds.contains(&record.kind)
            && !filter.not_errors.iter().any(is_error)
            && !filter.not_paths.iter().any(is_path)
            && filter.from.is_none_or(|from| self.seconds(record.time) >= from)
            && !self.is_past(record.time)
    }

    /// Whether no record from then on passes.
    pub fn is_past(&self, time: Cycles) -> bool {
        self.filter.to.is_some_and(|to| self.seconds(time) > to)
    }

    fn seconds(&self, time: Cycles) -> f64 {
        self.dump.since_start(time) as f64 / 1e9
    }
}

/// # Errors
/// For times between which nothing can be, whatever records there are.
pub fn possible(filter: &Filter) -> Result<(), Problem> {
    match (filter.from, filter.to) {
        (Some(from), Some(to)) if from > to => Err(Problem::mistake(format!(
            "--from {from} --to {to}: nothing is between, the first must be less"
        ))),
        _ => Ok(()),
    }
}

/// The domains that records are of.
fn domains(dump: &Dump) -> Vec<DomId> {
    let mut all: Vec<u16> = dump.records.iter().map(|record| record.domid.0).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(DomId).filter(|domid| *domid != DomId::INVALID).collect()
}

fn is_named(dump: &Dump, domid: DomId, domain: &str) -> bool {
    domain == domid.to_string() || dump.notes.names.get(&domid.0).is_some_and(|name| name == domain)
}
