//! A state as what it is about: nodes, domains, watches, quotas.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};
use xenstore::layers::quoted;

use crate::stream::{Body, Stream};

/// No domain (xen.h).
const NOBODY: u16 = 0x7ff4;

#[derive(Serialize)]
pub struct Node {
    pub path: String,
    #[serde(serialize_with = "without_quotes")]
    pub value: Vec<u8>,
    /// As GET_PERMS spells them.
    pub permissions: Vec<String>,
}

/// As `xenstore-ls` shows it.
fn shown(value: &[u8]) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = quoted(value, &mut text);
    text
}

fn without_quotes<S: Serializer>(value: &[u8], out: S) -> Result<S::Ok, S::Error> {
    let text = shown(value);
    out.serialize_str(text.get(1..text.len() - 1).unwrap_or_default())
}

#[derive(Serialize)]
pub struct Watch {
    pub domid: Option<u16>,
    pub path: String,
    pub token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u16>,
}

#[derive(Serialize, Default)]
pub struct Domain {
    pub introduced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<u64>,
    /// Its shutdown has been announced.
    pub shut_down: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<u32>,
    /// Bytes of a request that has come in part, and of answers and events that wait.
    pub begun: u16,
    pub waiting: u32,
    pub quotas: BTreeMap<String, u32>,
}

#[derive(Serialize, Default)]
pub struct State {
    pub version: u32,
    pub nodes: Vec<Node>,
    pub domains: BTreeMap<u16, Domain>,
    pub watches: Vec<Watch>,
    pub quotas: BTreeMap<String, u32>,
}

impl State {
    pub fn read(bytes: &[u8]) -> Result<State, String> {
        let mut stream = Stream::new(bytes)?;
        let mut state = State { version: stream.version, ..State::default() };
        let mut connections = BTreeMap::new();
        while let Some(record) = stream.next()? {
            let mut body = record.body;
            match record.kind {
                2 => state.connection(&mut body, &mut connections)?,
                3 | 8 => state.watch(&mut body, record.kind == 8, &connections)?,
                5 => state.node(&mut body)?,
                6 => {
                    let count = usize::from(body.u16()?) + usize::from(body.u16()?);
                    state.quotas = body.named_values(count)?.into_iter().collect();
                }
                7 | LIMITS => {
                    let (domid, count, features) = (body.u16()?, body.u16()?, body.u32()?);
                    let version = state.version;
                    let domain = state.domains.entry(domid).or_default();
                    domain.features = domain.features.or((version > 1).then_some(features));
                    domain.quotas = body.named_values(count.into())?.into_iter().collect();
                }
                KNOWN => {
                    let (domid, flags) = (body.u16()?, body.u16()?);
                    let (_, unique_id, features) = (body.u32()?, body.u64()?, body.u32()?);
                    let domain = state.domains.entry(domid).or_default();
                    domain.shut_down = flags & 1 != 0;
                    (domain.unique_id, domain.features) = (Some(unique_id), Some(features));
                }
                _ => {}
            }
        }
        Ok(state)
    }

    fn connection(
        &mut self,
        body: &mut Body<'_>,
        connections: &mut BTreeMap<u32, u16>,
    ) -> Result<(), String> {
        let (number, kind, flags) = (body.u32()?, body.u16()?, body.u16()?);
        let (domid, target, port) = (body.u16()?, body.u16()?, body.u32()?);
        let (begun, _, waiting) = (body.u16()?, body.u16()?, body.u32()?);
        if kind != 0 {
            return Ok(());
        }
        body.bytes(usize::from(begun) + waiting as usize)?;
        body.align()?;
        let unique_id = (flags & 1 != 0).then(|| body.u64()).transpose()?;
        connections.insert(number, domid);
        let domain = self.domains.entry(domid).or_default();
        (domain.introduced, domain.begun, domain.waiting) = (true, begun, waiting);
        domain.port = Some(port).filter(|port| *port != 0);
        domain.target = Some(target).filter(|target| *target != NOBODY);
        domain.unique_id = unique_id.or(domain.unique_id);
        Ok(())
    }

    fn watch(
        &mut self,
        body: &mut Body<'_>,
        has_depth: bool,
        connections: &BTreeMap<u32, u16>,
    ) -> Result<(), String> {
        let (number, path, token) = (body.u32()?, body.u16()?, body.u16()?);
        let depth = if has_depth { Some((body.u16()?, body.u16()?).0) } else { None };
        self.watches.push(Watch {
            domid: connections.get(&number).copied(),
            path: body.string(path.into())?,
            token: body.string(token.into())?,
            depth: depth.filter(|depth| *depth != u16::MAX),
        });
        Ok(())
    }

    fn node(&mut self, body: &mut Body<'_>) -> Result<(), String> {
        let (_, transaction) = (body.u32()?, body.u32()?);
        let (path, value, _, count) = (body.u16()?, body.u16()?, body.u16()?, body.u16()?);
        let mut permissions = Vec::new();
        for _ in 0..count {
            let (letter, _, domid) = (body.u8()?, body.u8()?, body.u16()?);
            permissions.push(format!("{}{domid}", letter.escape_ascii()));
        }
        let path = body.string(path.into())?;
        let value = body.bytes(value.into())?.to_vec();
        // What a transaction has made is in no store until its end, which no server goes on to.
        if transaction == 0 {
            self.nodes.push(Node { path, value, permissions });
        }
        Ok(())
    }

    /// The nodes as `xenstore-ls -f -p` shows them.
    pub fn tree(&self) -> Vec<String> {
        let line = |node: &Node| {
            format!("{} = {}   ({})", node.path, shown(&node.value), node.permissions.join(","))
        };
        self.nodes.iter().map(line).collect()
    }

    /// All else.
    pub fn others(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.quotas.iter().map(|(name, value)| format!("quota {name} = {value}")).collect();
        for (domid, domain) in &self.domains {
            let mut line = format!("domain {domid}:");
            line += if domain.introduced { " introduced" } else { " known" };
            let mut add = |what: &str, value: Option<u64>| {
                if let Some(value) = value {
                    // Writing into a string does not fail.
                    let _ = write!(line, ", {what} {value}");
                }
            };
            add("port", domain.port.map(u64::from));
            add("target", domain.target.map(u64::from));
            add("unique id", domain.unique_id);
            add("features", domain.features.map(u64::from));
            add("bytes begun", Some(domain.begun.into()).filter(|count| *count > 0));
            add("bytes waiting", Some(domain.waiting.into()).filter(|count| *count > 0));
            if domain.shut_down {
                line += ", shut down";
            }
            lines.push(line);
            for (name, value) in
                domain.quotas.iter().filter(|(name, value)| self.quotas.get(*name) != Some(value))
            {
                lines.push(format!("domain {domid}: quota {name} = {value}"));
            }
        }
        for Watch { domid, path, token, depth } in &self.watches {
            let domid = domid.map_or_else(|| "?".to_string(), |domid| domid.to_string());
            let depth = depth.map_or_else(String::new, |depth| format!(" {depth}"));
            lines.push(format!("watch {domid} {path} {token}{depth}"));
        }
        lines
    }
}

/// Records of our own, see docs/state.md.
const KNOWN: u32 = 0x8000_0002;
const LIMITS: u32 = 0x8000_0003;
