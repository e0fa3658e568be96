//! One peer with all its clients: carries out steps and returns what it saw.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::parse;
use crate::seen::{Item, Seen, Sent};
use conformance::client::Client;
use conformance::message::{self, CONTROL, DIRECTORY_PART, INTRODUCE, Packet, RELEASE};
use conformance::page::{Buffer, Page, RING, Word};
use conformance::peer::{Gone, Peer};
use conformance::step::{Life, Request, Step, Tx};

/// Ids that no peer gives out within a session, for slots that no transaction was started in.
const NEVER_OPENED: u32 = 0x7000_0000;
/// More parts than the child list of any node here has.
const MANY_PARTS: usize = 1000;

/// Ports that every domain offers; tests/standin/standin.h has the same number.
pub const OFFERED_PORTS: u32 = 63;

/// How often a server may sleep, a second at most, before it takes requests.
const RESTS: usize = 40;

/// How far the server had got with a ring when it was last quiet, and how often it had said so.
#[derive(Clone, Copy)]
struct Heard {
    notices: u32,
    taken: u32,
    given: u32,
}

impl Heard {
    fn of(peer: &dyn Peer, who: u16, page: &dyn Page) -> Heard {
        Heard { notices: peer.notices(who), taken: page.word(Word::ReqCons), given: page.word(Word::RspProd) }
    }

    /// Bytes taken since that the client has not been notified of. More than a ring means that the ring was reset, for
    /// which there is no notification.
    fn untold_since(self, before: Heard) -> Option<&'static str> {
        let moved = |now: u32, then: u32| Some(now.wrapping_sub(then)).filter(|by| (1..=RING).contains(by));
        if self.notices != before.notices {
            return None;
        }
        match (moved(self.taken, before.taken), moved(self.given, before.given)) {
            (Some(taken), None) if taken < RING / 2 => Some(BEGINNING_TAKEN),
            (None, None) => None,
            _ => Some("its ring has moved"),
        }
    }
}

/// Less than half a ring was taken and nothing was answered.
pub const BEGINNING_TAKEN: &str = "the beginning of a request was taken";

struct Connected {
    client: Client,
    heard: Heard,
    /// False once the server has let go of the page: what it left there means nothing.
    attached: bool,
    sent: VecDeque<Sent>,
}

pub struct Side {
    pub peer: Box<dyn Peer>,
    clients: BTreeMap<u16, Connected>,
    slots: BTreeMap<(u16, u8), u32>,
    /// The generation of the latest DIRECTORY_PART, and the one of each path when a step last asked.
    told_generation: Vec<u8>,
    generations: BTreeMap<Vec<u8>, Vec<u8>>,
    last_req_id: u32,
}

impl Side {
    pub fn new(peer: Box<dyn Peer>) -> Side {
        let mut side = Side {
            peer,
            clients: BTreeMap::new(),
            slots: BTreeMap::new(),
            told_generation: Vec::new(),
            generations: BTreeMap::new(),
            last_req_id: 0,
        };
        side.connect(0);
        side
    }

    fn connect(&mut self, who: u16) {
        if let Some(page) = self.peer.page(who) {
            let heard = Heard::of(self.peer.as_ref(), who, page.as_ref());
            let client = Client::new(page);
            let connected = Connected { client, heard, attached: true, sent: VecDeque::new() };
            self.clients.insert(who, connected);
        }
    }

    /// Carries out one step.
    pub fn perform(&mut self, step: &Step) -> Result<Seen, Gone> {
        match step {
            Step::Requests(who, requests) => self.requests(*who, requests),
            Step::Pieces(who, size, request) => {
                self.with(*who, |connected| connected.client.piece = *size);
                let seen = self.requests(*who, std::slice::from_ref(request));
                self.with(*who, |connected| connected.client.piece = RING);
                seen
            }
            Step::Bytes(who, bytes) => {
                self.with(*who, |connected| connected.client.send(bytes));
                self.pump()
            }
            Step::Fill(who, most, template) => self.fill(*who, *most, template),
            Step::List(who, path) => self.list(*who, path),
            Step::Generation(who, path) => self.generation(*who, path),
            Step::Domain(who, life) => {
                self.set_life(*who, *life);
                if !matches!(life, Life::Built | Life::Resumed) {
                    self.peer.virq();
                }
                self.pump()
            }
            Step::Quietly(who, life) => {
                self.set_life(*who, *life);
                self.pump()
            }
            Step::Virq => {
                self.peer.virq();
                self.pump()
            }
            Step::Kick(who) => {
                self.peer.kick(*who);
                self.pump()
            }
            Step::Reading(who, on) => {
                self.with(*who, |connected| connected.client.reading = *on);
                self.peer.kick(*who);
                self.pump()
            }
            Step::Wipe(who) => {
                self.with(*who, wipe);
                self.pump()
            }
            Step::Poke(who, word, value) => {
                self.with(*who, |connected| connected.client.page.set_word(*word, *value));
                self.pump()
            }
            Step::Peek(who, word) => {
                let value = self.clients.get(who).map(|connected| connected.client.page.word(*word));
                Ok(Seen { notes: vec![format!("{} of {who}: {value:?}", word.name())], ..Seen::default() })
            }
            Step::Wait(milliseconds) => {
                self.peer.wait(*milliseconds);
                self.pump()
            }
            // It takes both sides.
            Step::Update { .. } => Ok(Seen::default()),
            Step::Store => {
                // Whatever a peer has held back so far must not come later.
                self.kick_all();
                let mut seen = self.pump()?;
                seen.add(crate::store::walk(self)?);
                Ok(seen)
            }
        }
    }

    /// Has the server replace itself, from its own state or from this one. The answer to that is left out. None if it does
    /// not, because of open transactions, or because it cannot.
    pub fn update(&mut self, state: Option<&[u8]>) -> Result<Option<Seen>, Gone> {
        let Some(program) = self.peer.update_with(state) else { return Ok(None) };
        let program = program.to_string_lossy().into_owned();
        let mut all = Seen::default();
        for words in [vec!["live-update", "-f", &program], vec!["live-update", "-s", "-t", "0"]] {
            let payload: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
            let mut seen = self.requests(0, &[Request::new(CONTROL, payload)])?;
            let items = seen.items.entry(0).or_default();
            match items.iter().position(|item| matches!(item, Item::Reply { .. })) {
                Some(place) => {
                    let answer = items.remove(place);
                    if answer.to_string().contains("ransactions") {
                        return Ok(None);
                    }
                    if !matches!(&answer, Item::Reply { error: None, payload, .. } if payload == b"OK\0") {
                        return Err(Gone(format!("does not update itself: {answer}")));
                    }
                }
                // The answer is in the daemon's own state.
                None if state.is_some() && words.contains(&"-s") => {
                    self.with(0, |connected| drop(connected.sent.pop_back()));
                }
                None => return Err(Gone("does not answer the update".to_string())),
            }
            all.add(seen);
        }
        all.items.retain(|_, items| !items.is_empty());
        Ok(Some(all))
    }

    /// Whether the server has given up a ring.
    pub fn has_given_up(&self) -> bool {
        self.clients.values().any(|connected| connected.client.page.word(Word::Error) != 0)
    }

    /// What follows when the server has been replaced. The answer to the update of the daemon whose state it was made from is
    /// left out.
    pub fn replaced(&mut self) -> Result<Seen, Gone> {
        let mut seen = self.pump()?;
        for items in seen.items.values_mut() {
            items.retain(|item| !matches!(item, Item::Stray(packet) if packet.payload == b"OK\0"));
        }
        seen.items.retain(|_, items| !items.is_empty());
        Ok(seen)
    }

    fn with(&mut self, who: u16, act: impl FnOnce(&mut Connected)) {
        if let Some(connected) = self.clients.get_mut(&who) {
            act(connected);
        }
    }

    fn set_life(&mut self, who: u16, life: Life) {
        self.peer.set_life(who, life);
        match life {
            Life::Built => self.connect(who),
            Life::Dead | Life::Gone => self.with(who, |connected| connected.attached = false),
            _ => {}
        }
    }

    /// The id a request's transaction has here.
    fn tx_id(&self, who: u16, tx: Tx) -> u32 {
        match tx {
            Tx::None => 0,
            Tx::Number(number) => number,
            Tx::Slot(slot) => self.slots.get(&(who, slot)).copied().unwrap_or(NEVER_OPENED + u32::from(slot)),
        }
    }

    fn enqueue(&mut self, who: u16, request: &Request) {
        self.last_req_id += 1;
        let tx_id = self.tx_id(who, request.tx);
        let packet =
            Packet { kind: request.kind, req_id: self.last_req_id, tx_id, payload: request.payload.clone() };
        let sent = Sent { request: Rc::new(request.clone()), req_id: packet.req_id, tx_id };
        self.with(who, |connected| {
            connected.client.send(&packet.encode());
            connected.sent.push_back(sent);
        });
    }

    /// Sends the requests in one burst and collects all that follows.
    pub fn requests(&mut self, who: u16, requests: &[Request]) -> Result<Seen, Gone> {
        // Domains that dom0 introduces or releases keep still meanwhile: their rings begin or end here.
        let mut before = Vec::new();
        for domid in requests.iter().filter_map(|request| managed_domain(who, request)) {
            self.with(domid, |connected| {
                before.push((domid, connected.attached));
                connected.attached = false;
            });
        }
        for request in requests {
            self.enqueue(who, request);
        }
        let seen = self.pump()?;
        let failed = seen.replies(who).iter().any(|item| item.error().is_some());
        for (domid, attached) in before.into_iter().filter(|_| failed) {
            self.with(domid, |connected| connected.attached = attached);
        }
        for request in requests.iter().filter(|request| !failed && request.kind == INTRODUCE) {
            let Some(domid) = managed_domain(who, request) else { continue };
            let port = request.payload.split(|byte| *byte == 0).nth(2).unwrap_or_default();
            let bindable = decimal(port) <= OFFERED_PORTS;
            self.with(domid, |connected| {
                // Without a port the domain cannot notify the server of requests.
                connected.attached = bindable;
                connected.sent.clear();
                connected.client.forget();
            });
        }
        Ok(seen)
    }

    /// Moves bytes and lets the server run until nothing moves any more.
    fn pump(&mut self) -> Result<Seen, Gone> {
        let mut seen = Seen::default();
        let mut rests = 0;
        loop {
            for (who, connected) in self.clients.iter_mut().filter(|(_, connected)| connected.attached) {
                if connected.client.push() > 0 {
                    self.peer.kick(*who);
                }
            }
            self.peer.settle()?;
            let (mut pulled, mut crowded) = (false, false);
            for (who, connected) in self.clients.iter_mut().filter(|(_, connected)| connected.attached) {
                let count = connected.client.pull();
                pulled |= count > 0;
                crowded |= count > RING / 2;
                let now = Heard::of(self.peer.as_ref(), *who, connected.client.page.as_ref());
                let before = std::mem::replace(&mut connected.heard, now);
                if let Some(what) = now.untold_since(before) {
                    seen.notes.push(format!("{who} was not told that {what}"));
                }
            }
            self.collect(&mut seen);
            // A guest notifies the server of room in the ring. Only a server that lacked room can care.
            let mut attached = self.clients.values().filter(|connected| connected.attached);
            let stalled = attached.clone().any(|connected| connected.client.waiting() > 0);
            if crowded || (pulled && stalled) {
                self.kick_all();
            } else if !attached.any(|connected| connected.client.can_push()) {
                // A server may slow a guest down; that is no answer, and not compared.
                rests += 1;
                if !stalled || rests > RESTS || !self.peer.rest() {
                    break;
                }
            }
        }
        for (who, connected) in &self.clients {
            let waiting = connected.client.waiting();
            // A ring that the server has given up is not compared.
            if waiting > 0 && connected.client.page.word(Word::Error) == 0 {
                seen.waiting.insert(*who, waiting);
            }
        }
        Ok(seen)
    }

    fn kick_all(&mut self) {
        for (who, _) in self.clients.iter().filter(|(_, connected)| connected.attached) {
            self.peer.kick(*who);
        }
    }

    fn collect(&mut self, seen: &mut Seen) {
        for (who, connected) in &mut self.clients {
            for packet in connected.client.packets() {
                let item = Item::from(packet.clone(), connected.sent.front());
                if let Item::Reply { to, error: None, .. } = &item
                    && to.kind == DIRECTORY_PART
                {
                    self.told_generation =
                        packet.payload.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
                }
                if let Item::Reply { to, error, .. } = &item {
                    connected.sent.pop_front();
                    if let (None, Some(slot)) = (error, to.opens) {
                        self.slots.insert((*who, slot), decimal(&packet.payload));
                    }
                }
                seen.items.entry(*who).or_default().push(item);
            }
        }
    }

    fn fill(&mut self, who: u16, most: usize, template: &str) -> Result<Seen, Gone> {
        let mut count = 0;
        let mut end = "no error".to_string();
        while count < most {
            let request = parse::request(template, count).map_err(Gone)?;
            let seen = self.requests(who, &[request])?;
            match seen.replies(who).first() {
                Some(reply) if reply.error().is_none() => count += 1,
                Some(reply) => {
                    end = reply.to_string();
                    break;
                }
                None => {
                    end = "no answer".to_string();
                    break;
                }
            }
        }
        Ok(Seen { notes: vec![format!("{count} times, then {end}")], ..Seen::default() })
    }

    fn generation(&mut self, who: u16, path: &[u8]) -> Result<Seen, Gone> {
        let seen = self.requests(who, &[Request::new(DIRECTORY_PART, [path, b"\x000\0"].concat())])?;
        let note = match seen.replies(who).as_slice() {
            [Item::Reply { error: None, .. }] => {
                let now = &self.told_generation;
                match self.generations.insert(path.to_vec(), now.clone()) {
                    Some(before) if before == *now => "the same generation",
                    Some(_) => "another generation",
                    None => "a generation",
                }
            }
            _ => "no generation",
        };
        Ok(Seen { notes: vec![note.to_string()], ..Seen::default() })
    }

    fn list(&mut self, who: u16, path: &[u8]) -> Result<Seen, Gone> {
        let mut names = Vec::new();
        for _ in 0..MANY_PARTS {
            let payload = [path, b"\0", names.len().to_string().as_bytes(), b"\0"].concat();
            let seen = self.requests(who, &[Request::new(DIRECTORY_PART, payload)])?;
            let Some(Item::Reply { error: None, payload, .. }) = seen.replies(who).first().copied() else {
                let end = seen.replies(who).first().map_or("no answer".to_string(), ToString::to_string);
                return Ok(Seen { notes: vec![end], ..Seen::default() });
            };
            names.extend_from_slice(payload.get(2..).unwrap_or_default());
            if names.is_empty() || names == b"\0" || names.ends_with(b"\0\0") {
                break;
            }
        }
        Ok(Seen { notes: vec![message::Spelled(&names).to_string()], ..Seen::default() })
    }
}

/// The ring as hvmloader leaves it.
fn wipe(connected: &mut Connected) {
    let page = &connected.client.page;
    page.write(Buffer::Requests, 0, &[0xff; RING as usize]);
    page.write(Buffer::Responses, 0, &[0xff; RING as usize]);
    for word in [Word::ReqCons, Word::ReqProd, Word::RspCons, Word::RspProd] {
        page.set_word(word, 0);
    }
}

/// The domain that dom0's request introduces or releases.
fn managed_domain(who: u16, request: &Request) -> Option<u16> {
    let text = request.payload.split(|byte| *byte == 0).next()?;
    let domid = std::str::from_utf8(text).ok()?.parse().ok()?;
    (who == 0 && domid != 0 && matches!(request.kind, INTRODUCE | RELEASE)).then_some(domid)
}

fn decimal(payload: &[u8]) -> u32 {
    let digits = payload.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |value: u32, digit| value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}
