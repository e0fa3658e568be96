//! `replay`: asks a server on a unix socket again for what a dump's domains have asked, in the same order.

mod before;
mod message;

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use xenstore::trace::Kind;
use xenstore::wire::{MessageType, TxId};

use crate::arguments::ReplayOptions;
use crate::dump::{Dump, write};
use crate::report::{Cell, Table, table_json, table_text};
use crate::requests::{Request, requests};
use message::{Message, Watches, message};
use store_client::{Problem, Store, plural};

const OK: &str = "ok";

pub fn run(options: &ReplayOptions) -> Result<(), Problem> {
    let dump = Dump::load(&options.file)?;
    let place = &options.into;
    // What a dump asks for would ruin a host's store.
    let is_socket = std::fs::metadata(place).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        let place = place.display();
        return Err(Problem::mistake(format!("--into {place}: wanted is the socket of a unix_server")));
    }
    Store::open(Some(place), Some(options.timeout))?.control(&["trace"])?;
    let mut replay = Replay::new(&dump, place, options.timeout);
    replay.make_what_was_there()?;
    let mut asked = requests(&dump).into_iter();
    for record in &dump.records {
        match record.kind {
            Kind::Ended => asked.next().map_or(Ok(()), |request| replay.take(&request))?,
            Kind::Released => replay.end(record.domid.0),
            _ => {}
        }
    }
    let text = if options.json { replay.object() } else { replay.text() };
    write(Path::new("-"), text.as_bytes())
}

struct Replay<'a> {
    dump: &'a Dump,
    place: &'a Path,
    /// How long an answer is waited for.
    patience: Duration,
    /// A connection for each domain that has not ended.
    stores: BTreeMap<u16, Store>,
    /// The transactions that are open, by domain and number in the dump.
    transactions: BTreeMap<(u16, u32), TxId>,
    watches: Watches,
    made: usize,
    same: usize,
    others: BTreeMap<(&'static str, String, String), usize>,
    left_out: BTreeMap<(&'static str, &'static str), usize>,
}

impl<'a> Replay<'a> {
    fn new(dump: &'a Dump, place: &'a Path, patience: Duration) -> Replay<'a> {
        Replay {
            dump,
            place,
            patience,
            stores: BTreeMap::new(),
            transactions: BTreeMap::new(),
            watches: Watches::default(),
            made: 0,
            same: 0,
            others: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    fn store(&mut self, domid: u16) -> Result<&mut Store, Problem> {
        if !self.stores.contains_key(&domid) {
            self.stores.insert(domid, Store::open(Some(self.place), Some(self.patience))?);
        }
        self.stores.get_mut(&domid).ok_or_else(|| Problem::new("no connection"))
    }

    fn make_what_was_there(&mut self) -> Result<(), Problem> {
        for (path, size) in before::nodes(self.dump) {
            let payload = [path.as_bytes(), &[0], &vec![b'v'; size]].concat();
            self.store(0)?.request(MessageType::Write, &payload)?;
            self.made += 1;
        }
        Ok(())
    }

    /// A domain's connection ends with it: a dump may have more of them than a server has room for at once.
    fn end(&mut self, domid: u16) {
        self.stores.remove(&domid);
        self.transactions.retain(|(of, _), _| *of != domid);
        self.watches.forget(domid);
    }

    fn take(&mut self, request: &Request<'_>) -> Result<(), Problem> {
        let ended = request.ended;
        let name = ended.type_name();
        let (msg_type, payload) = match message(self.dump, request, &mut self.watches) {
            Message::Ask(msg_type, payload) => (msg_type, payload),
            Message::LeaveOut(why) => {
                *self.left_out.entry((name, why)).or_default() += 1;
                return Ok(());
            }
        };
        let tx = match (ended.domid.0, ended.tx.0) {
            (_, 0) => TxId::NONE,
            key => match self.transactions.get(&key) {
                Some(tx) => *tx,
                None => {
                    *self.left_out.entry((name, "its transaction was begun before")).or_default() += 1;
                    return Ok(());
                }
            },
        };
        let answer = self.store(ended.domid.0)?.request_in(tx, msg_type, &payload);
        let result = match &answer {
            Ok(_) => OK.to_owned(),
            Err(Problem::Refused { error, .. }) => error.clone(),
            Err(_) => return answer.map(drop),
        };
        match msg_type {
            MessageType::TransactionStart => self.begun(request, answer.ok().as_deref()),
            MessageType::TransactionEnd => drop(self.transactions.remove(&(ended.domid.0, ended.tx.0))),
            _ => {}
        }
        let was = ended.error.map_or(OK, |error| error.name());
        if was == result {
            self.same += 1;
        } else {
            *self.others.entry((name, was.to_owned(), result)).or_default() += 1;
        }
        Ok(())
    }

    /// A transaction has its number from an answer; a dump has it in the record of its start.
    fn begun(&mut self, request: &Request<'_>, answer: Option<&[u8]>) {
        let mut inside = request.inside.iter().map(|n| &self.dump.records[*n]);
        let old = inside.find(|record| record.kind == Kind::TransactionStarted);
        let number = answer.and_then(|answer| std::str::from_utf8(answer).ok());
        let new = number.and_then(|number| number.trim_end_matches('\0').parse().ok());
        if let (Some(old), Some(new)) = (old, new) {
            self.transactions.insert((request.ended.domid.0, old.tx.0), TxId(new));
        }
    }

    fn replayed(&self) -> usize {
        self.same + self.others.values().sum::<usize>()
    }

    fn tables(&self) -> [Table; 2] {
        let others = self.others.iter().map(|((name, was, is), count)| {
            vec![Cell::text(*name), Cell::Count(*count), Cell::text(was), Cell::text(is)]
        });
        let left_out = self
            .left_out
            .iter()
            .map(|((name, why), count)| vec![Cell::text(*name), Cell::Count(*count), Cell::text(*why)]);
        [
            Table::of("Other results", vec!["type", "requests", "was", "is"], others.collect(), 0, ""),
            Table::of("Left out", vec!["type", "requests", "why"], left_out.collect(), 0, ""),
        ]
    }

    fn text(&self) -> String {
        let (replayed, left_out) = (self.replayed(), self.left_out.values().sum::<usize>());
        let mut text = format!(
            "replayed      {replayed} of {}, of {}\n\
             same results  {}\n\
             nodes made    {}, which were there before\n",
            plural((replayed + left_out) as u64, "request"),
            plural(self.stores.len() as u64, "domain"),
            self.same,
            self.made
        );
        self.tables()
            .iter()
            .filter(|table| !table.rows.is_empty())
            .for_each(|table| text += &table_text(table));
        text
    }

    fn object(&self) -> String {
        let tables = self.tables();
        let [others, left_out] = tables.each_ref().map(table_json);
        let (replayed, same, made) = (self.replayed(), self.same, self.made);
        let all = json!({
            "replayed": replayed,
            "same results": same,
            "nodes made": made,
            "other results": others["rows"],
            "left out": left_out["rows"],
        });
        format!("{all}\n")
    }
}
