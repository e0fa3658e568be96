//! What the store's counters say at one moment, as `CONTROL stats json` and its pages of domains tell it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::dump::RECORDING;
use store_client::{Problem, Store};

/// Counters and holdings of a domain, all since it was introduced. Of several connections of a domain, as a
/// socket's clients have them, they are sums.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    pub requests: u64,
    pub cycles: u64,
    pub events: u64,
    pub failed: u64,
    /// Events that it never gets.
    pub dropped: u64,
    pub conflicts: u64,
    pub refused: u64,
    pub stalls: u64,
    /// Milliseconds.
    pub throttled: u64,
    pub nodes: u64,
    pub watches: u64,
    pub transactions: u64,
    /// Bytes.
    pub memory: u64,
}

type Field = fn(&mut Counts) -> &mut u64;

impl Counts {
    /// Where each is in a row, by the names of the table's columns.
    const FIELDS: [(&str, Field); 13] = [
        ("requests", |counts| &mut counts.requests),
        ("cycles", |counts| &mut counts.cycles),
        ("events", |counts| &mut counts.events),
        ("failed", |counts| &mut counts.failed),
        ("dropped", |counts| &mut counts.dropped),
        ("conflicts", |counts| &mut counts.conflicts),
        ("refused", |counts| &mut counts.refused),
        ("stalls", |counts| &mut counts.stalls),
        ("throttled", |counts| &mut counts.throttled),
        ("nodes", |counts| &mut counts.nodes),
        ("watches", |counts| &mut counts.watches),
        ("transactions", |counts| &mut counts.transactions),
        ("memory", |counts| &mut counts.memory),
    ];

    /// All of them by their names.
    pub fn members(mut self) -> Map<String, Value> {
        Counts::FIELDS.iter().map(|(name, field)| ((*name).to_owned(), (*field(&mut self)).into())).collect()
    }
}

/// How full one of the server's arenas is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Level {
    pub what: String,
    pub used: u64,
    pub room: u64,
}

impl Level {
    /// From 0 to 1.
    pub fn share(&self) -> f64 {
        self.used as f64 / (self.room as f64).max(1.0)
    }
}

/// Requests of a domain that one quota has refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub domid: u16,
    /// Empty for lack of room.
    quota: String,
    /// What it allows.
    pub limit: u64,
    pub times: u64,
    /// The type, error and path of the last one.
    pub request: String,
    pub error: String,
    pub path: String,
}

impl Refused {
    pub fn parse(case: &Value) -> Result<Refused, Problem> {
        let text = |name: &str| case[name].as_str().map(|text| text.escape_debug().to_string());
        let text =
            |name: &str| text(name).ok_or_else(|| Problem::new(format!("no case of a refusal: {case}")));
        Ok(Refused {
            domid: u16::try_from(number(case, "domid")?).unwrap_or(u16::MAX),
            quota: text("quota")?,
            limit: number(case, "limit")?,
            times: number(case, "times")?,
            request: text("type")?,
            error: text("error")?,
            path: text("path")?,
        })
    }

    /// What has refused them.
    pub fn quota(&self) -> &str {
        if self.quota.is_empty() { "no room" } else { &self.quota }
    }

    /// With the domain's name, if it has one.
    pub fn object(&self, name: Option<&str>) -> Value {
        let Refused { domid, limit, times, request, error, path, .. } = self;
        let quota = self.quota();
        json!({ "domid": domid, "name": name, "quota": quota, "limit": limit, "times": times, "request": request, "error": error, "path": path })
    }
}

/// The memory that the store has got from Xen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ram {
    /// KiB; 0 where nobody knows.
    pub kib: u64,
    /// Up to which it may grow, KiB.
    pub limit_kib: u64,
    /// Times that it grew, and that there was no memory to.
    pub growths: u64,
    pub refused: u64,
}

impl Ram {
    fn read(all: &Value) -> Result<Ram, Problem> {
        Ok(Ram {
            kib: number(all, "ram-kib")?,
            limit_kib: number(all, "ram-limit-kib")?,
            growths: number(all, "growths")?,
            refused: number(all, "growth-refused")?,
        })
    }
}

/// One look at the store.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Sample {
    pub requests: u64,
    pub failed: u64,
    pub events: u64,
    pub running_ms: u64,
    /// Faults of the store after which it went on.
    pub faults: u64,
    /// Its trace records what goes on.
    pub recording: bool,
    pub ram: Ram,
    pub levels: Vec<Level>,
    /// The server's clock, in cycles, and how many of them a millisecond has.
    pub clock: u64,
    pub khz: u64,
    pub domains: BTreeMap<u16, Counts>,
    /// The latest cases.
    pub refused: Vec<Refused>,
}

/// The number at `name`. A store that does not tell it is of another version.
pub fn number(value: &Value, name: &str) -> Result<u64, Problem> {
    let missing = || Problem::new(format!("the store's statistics have no '{name}': another version?"));
    value[name].as_u64().ok_or_else(missing)
}

/// Which column of a table has this name.
fn place(table: &Value, name: &str) -> Result<usize, Problem> {
    let columns = table["columns"].as_array().into_iter().flatten();
    let place = columns.map(Value::as_str).position(|column| column == Some(name));
    place
        .ok_or_else(|| Problem::new(format!("a table of the store has no column '{name}': another version?")))
}

/// The rows of a table whose rows have names.
fn rows(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table.as_object().into_iter().flatten().filter(|(name, _)| *name != "columns")
}

fn cell(row: &Value, index: usize) -> Result<u64, Problem> {
    row[index].as_u64().ok_or_else(|| Problem::new(format!("no row of a table: {row}")))
}

pub fn parse(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text)
        .map_err(|_| Problem::new("the store's statistics are no JSON: another version?"))
}

impl Sample {
    /// Asks for all of it.
    ///
    /// # Errors
    /// If the store is lost, or answers as none of this version does.
    pub fn take(store: &mut Store) -> Result<Sample, Problem> {
        Sample::take_whole(store).map(|(sample, _)| sample)
    }

    /// With all that `stats json` has answered, an object.
    ///
    /// # Errors
    /// As those of [`Sample::take`].
    pub fn take_whole(store: &mut Store) -> Result<(Sample, Value), Problem> {
        Sample::ask(|words| store.control(words))
    }

    /// What one request tells: all but domains and refusals.
    ///
    /// # Errors
    /// As those of [`Sample::take`].
    pub fn totals(store: &mut Store) -> Result<Sample, Problem> {
        let mut sample = Sample::default();
        sample.read_totals(&parse(&store.control(&["stats", "json"])?)?)?;
        Ok(sample)
    }

    fn ask(mut control: impl FnMut(&[&str]) -> Result<String, Problem>) -> Result<(Sample, Value), Problem> {
        let mut sample = Sample::default();
        let all = parse(&control(&["stats", "json"])?)?;
        sample.read_totals(&all)?;
        let refused = parse(&control(&["stats", "json", "refused"])?)?;
        for case in refused["refused"].as_array().into_iter().flatten() {
            sample.refused.push(Refused::parse(case)?);
        }
        let mut from = 0;
        loop {
            let page = parse(&control(&["stats", "json", "domains", &from.to_string()])?)?;
            sample.read_domains(&page)?;
            match page.get("next") {
                None => return Ok((sample, all)),
                // Ever on, so that it ends.
                Some(next) if next.as_u64() > Some(from) => from = number(&page, "next")?,
                Some(next) => {
                    let told = format!("a page of domains from {from} on is followed by {next}");
                    return Err(Problem::new(told));
                }
            }
        }
    }

    fn read_totals(&mut self, all: &Value) -> Result<(), Problem> {
        self.requests = number(all, "requests")?;
        self.events = number(all, "events")?;
        self.running_ms = number(all, "running-ms")?;
        self.faults = number(all, "restarts")?;
        self.recording = number(all, RECORDING)? != 0;
        self.ram = Ram::read(all)?;
        let types = &all["types"];
        let failed = place(types, "failed")?;
        for (_, row) in rows(types) {
            self.failed = self.failed.wrapping_add(cell(row, failed)?);
        }
        let memory = &all["memory"];
        let (used, room) = (place(memory, "used")?, place(memory, "room")?);
        for (what, row) in rows(memory) {
            let (used, room) = (cell(row, used)?, cell(row, room)?);
            self.levels.push(Level { what: what.clone(), used, room });
        }
        Ok(())
    }

    fn read_domains(&mut self, page: &Value) -> Result<(), Problem> {
        self.khz = number(page, "khz")?;
        self.clock = number(page, "clock")?;
        let domid = place(page, "domid")?;
        let mut places = Vec::new();
        for (name, field) in Counts::FIELDS {
            places.push((place(page, name)?, field));
        }
        for row in page["domains"].as_array().into_iter().flatten() {
            let domid = cell(row, domid)?;
            let domid = u16::try_from(domid).map_err(|_| Problem::new(format!("{domid} is no domid")))?;
            let counts = self.domains.entry(domid).or_default();
            for (index, field) in &places {
                let count = field(counts);
                *count = count.wrapping_add(cell(row, *index)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTALS: &str = r#"{"requests":5,"events":2,"running-ms":392,"restarts":0,"trace-on":1,
        "ram-kib":8192,"ram-limit-kib":24576,"growths":1,"growth-refused":2,"types":{
        "columns":["requests","failed"],"READ":[3,1],"WRITE":[2,1]},
        "memory":{"columns":["used","most","room"],"nodes":[7,9,100]}}"#;

    fn page(rows: &str, end: &str) -> String {
        format!(
            r#"{{"khz":1000,"clock":77,"columns":["domid","requests","failed","received","sent","cycles","events",
            "dropped","conflicts","refused","stalls","throttled","nodes","watches","transactions","memory"],"domains":[{rows}]{end}}}"#
        )
    }

    fn ask(pages: &[String]) -> Result<Sample, String> {
        let mut asked = 0;
        let answer = |words: &[&str]| {
            if words.get(2) == Some(&"refused") {
                return Ok(r#"{"refused":[{"domid":5,"quota":"nodes","limit":1000,"times":3,"type":"WRITE",
                    "error":"ENOSPC","path":"/a"}]}"#
                    .to_owned());
            }
            asked += 1;
            assert_eq!(words.get(2), (asked > 1).then_some(&"domains"), "{words:?}");
            Ok(if asked == 1 { TOTALS.to_owned() } else { pages[asked - 2].clone() })
        };
        Sample::ask(answer).map(|(sample, _)| sample).map_err(|problem| problem.to_string())
    }

    #[test]
    fn connections_of_a_domain_are_added_up_over_pages() {
        let first =
            page("[0,10,0,0,0,500,1,0,0,0,0,0,3,2,1,64],[5,1,0,0,0,9,0,0,4,5,6,7,0,0,0,0]", r#","next":2"#);
        let second = page("[0,1,0,0,0,20,0,0,0,0,0,0,3,0,0,32]", "");
        let sample = ask(&[first, second]).expect("a sample");
        assert_eq!((sample.requests, sample.failed, sample.events, sample.running_ms), (5, 2, 2, 392));
        assert!(sample.recording);
        let [case] = &sample.refused[..] else { panic!("{sample:?}") };
        assert_eq!((case.domid, case.quota.as_str(), case.limit, case.times), (5, "nodes", 1000, 3));
        assert_eq!(
            (case.request.as_str(), case.error.as_str(), case.path.as_str()),
            ("WRITE", "ENOSPC", "/a")
        );
        assert_eq!(sample.levels, [Level { what: "nodes".into(), used: 7, room: 100 }]);
        assert_eq!(sample.ram, Ram { kib: 8192, limit_kib: 24576, growths: 1, refused: 2 });
        assert_eq!((sample.khz, sample.clock), (1000, 77));
        assert_eq!(sample.domains.keys().copied().collect::<Vec<_>>(), [0, 5]);
        let host = sample.domains[&0];
        assert_eq!((host.requests, host.cycles, host.events, host.nodes), (11, 520, 1, 6));
        assert_eq!((host.watches, host.transactions, host.memory), (2, 1, 96));
        let guest = sample.domains[&5];
        assert_eq!((guest.conflicts, guest.refused, guest.stalls, guest.throttled), (4, 5, 6, 7));
    }

    #[test]
    fn what_is_no_such_answer_is_said() {
        for (text, wanted) in [
            ("EINVAL", "the store's statistics are no JSON"),
            ("{\"khz\":1}", "the store's statistics have no 'clock'"),
            (
                "{\"khz\":1,\"clock\":1,\"columns\":[\"domid\"]}",
                "a table of the store has no column 'requests'",
            ),
            (&page("[70000,10,0,0,0,500,1,0,0,0,0,3,2,1,64]", ""), "70000 is no domid"),
            (&page("[1,10]", ""), "no row of a table: [1,10]"),
            (&page("", ",\"next\":0"), "a page of domains from 0 on is followed by 0"),
        ] {
            let error = ask(&[text.to_owned()]).expect_err(wanted);
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
