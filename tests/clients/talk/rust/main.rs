//! Talks to the store by the crate xenstore-rs, which has no transactions. Without a socket it takes `/dev/xen/xenbus`.

use std::io::{self, ErrorKind};

use futures::StreamExt;
use xenstore_rs::tokio::XsTokio;
use xenstore_rs::{AsyncWatch, AsyncXs};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let store = XsTokio::new().await?;
    store.write("/talk/greeting", "hello").await?;
    println!("read: {}", store.read("/talk/greeting").await?);
    for name in store.directory("/talk").await? {
        println!("child: {name}");
    }

    let mut events = store.watch("/talk/greeting").await?;
    // The first event says that the watch is set.
    events.next().await;
    store.write("/talk/greeting", "goodbye").await?;
    if let Some(path) = events.next().await {
        println!("changed: {path}");
    }

    store.rm("/talk").await?;
    if store.read("/talk/greeting").await.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        println!("gone");
    }
    Ok(())
}
