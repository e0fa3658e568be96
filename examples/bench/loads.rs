//! What else a store contains while requests are measured. They touch none of it.

use std::io::Result;

use xenstore::wire::TxId;

use crate::requests::DEVICE;
use measure::connection::Connection;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    Nothing,
    Watches,
    Nodes,
    Siblings,
    Connections,
    Transactions,
}

impl Load {
    pub const ALL: [Load; 6] =
        [Load::Nothing, Load::Watches, Load::Nodes, Load::Siblings, Load::Connections, Load::Transactions];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Load::Nothing => "empty store",
            Load::Watches => "10,000 watches",
            Load::Nodes => "10,000 nodes",
            Load::Siblings => "10,000 siblings",
            Load::Connections => "1,000 connections",
            Load::Transactions => "1,000 transactions",
        }
    }

    /// Puts it on the server. It stays as long as the connections that are returned.
    pub fn put(self) -> Result<Vec<Connection>> {
        let mut clients = vec![Connection::open()?];
        match self {
            Load::Nothing => {}
            Load::Watches => {
                for n in 0..10_000 {
                    if n % 1000 == 0 {
                        clients.push(Connection::open()?);
                    }
                    let last = clients.len() - 1;
                    clients[last].watch(&format!("/other/{n}"), "token")?;
                }
            }
            Load::Nodes => {
                for n in 0..10_000 {
                    clients[0].write(TxId::NONE, &format!("/other/{}/{}", n / 100, n % 100), "value")?;
                }
            }
            Load::Siblings => {
                for n in 0..10_000 {
                    clients[0].write(TxId::NONE, &format!("{DEVICE}/{n}"), "value")?;
                }
            }
            Load::Connections => {
                for _ in 0..1000 {
                    clients.push(Connection::open()?);
                }
            }
            Load::Transactions => {
                for n in 0..1000 {
                    if n % 10 == 0 {
                        clients.push(Connection::open()?);
                    }
                    let last = clients.len() - 1;
                    let tx = clients[last].start()?;
                    clients[last].write(tx, &format!("/other/{n}"), "value")?;
                }
            }
        }
        Ok(clients)
    }
}
