//! A client of the crate xenstore-rs: carries out the commands that come on its input, one a line, and answers each
//! with one line. The crate has neither permissions nor transactions.

use std::collections::HashMap;
use std::io::{self, BufRead, ErrorKind, Write};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::timeout;
use xenstore_rs::tokio::XsTokio;
use xenstore_rs::{AsyncWatch, AsyncXs};

type Watch = Box<dyn Stream<Item = Box<str>> + Unpin>;

/// How long an event may take: the machine may be an emulated one.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

/// Reads commands to the end of the input. Between them the runtime stands still, and so may the store's events.
async fn serve() -> io::Result<()> {
    let store = XsTokio::new().await?;
    let mut watches = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match carry_out(&store, &mut watches, &words).await {
            Ok(answer) => answer,
            Err(error) => format!("error {}", name(error.kind())),
        };
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}

async fn carry_out(
    store: &XsTokio,
    watches: &mut HashMap<String, Watch>,
    words: &[&str],
) -> io::Result<String> {
    Ok(match words {
        ["read", path] => store.read(path).await?.into_string(),
        ["list", path] => store.directory(path).await?.join(" "),
        ["write", path, value] => store.write(path, value).await.map(|()| "ok".to_owned())?,
        ["remove", path] => store.rm(path).await.map(|()| "ok".to_owned())?,
        ["watch", path, token] => {
            watches.insert((*token).to_owned(), Box::new(store.watch(path).await?));
            "ok".to_owned()
        }
        ["event", token] => match watches.get_mut(*token) {
            Some(watch) => match timeout(PATIENCE, watch.next()).await {
                Ok(Some(path)) => path.into_string(),
                Ok(None) => "the store has gone".to_owned(),
                Err(_) => "no event".to_owned(),
            },
            None => "no such watch".to_owned(),
        },
        ["unwatch", _, token] => {
            watches.remove(*token);
            "ok".to_owned()
        }
        _ => "unsupported".to_owned(),
    })
}

/// What the crate makes of the errors that the tests provoke, by their names in the protocol.
fn name(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "ENOENT".to_owned(),
        ErrorKind::InvalidInput => "EINVAL".to_owned(),
        other => other.to_string(),
    }
}
