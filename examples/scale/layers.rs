//! Table 14: what it costs to begin with layers, and what their nodes cost from then on.

use std::hint::black_box;
use std::io::{Error, Result};

use measure::callgrind::Callgrind;
use measure::figure::Figure;
use support::Host;
use xenstore::config::{Capacities, Settings};
use xenstore::layers::Buffers;
use xenstore::server::sizing;

const TABLE: u64 = 14;

/// Columns.
const LAYERED: &str = "of layers";
const WRITTEN: &str = "of a client";

/// Requests of each kind that are counted.
const TIMES: usize = 200;

/// A module of so many layers with `nodes` nodes in all, in folders of fifty, as a vendor's defaults have them.
fn module(layers: usize, nodes: usize) -> String {
    let each = nodes / layers;
    let node = |layer: usize, n: usize| {
        // Of those are one in fifty the folder.
        let line = format!("/layer{layer}/class{}", n / 50);
        match n % 50 {
            0 => format!("{line} = \"\"   (n0,r32757)\n"),
            _ => format!("{line}/setting{n} = \"value {n}\"   (n0,r32757)\n"),
        }
    };
    let text = |layer| format!("layer l{layer}\n") + &(0..each).map(|n| node(layer, n)).collect::<String>();
    (0..layers).map(text).collect::<String>() + "end\n"
}

/// What is counted: callgrind is to collect this function only.
#[inline(never)]
fn counted(work: impl FnOnce()) {
    work();
}

fn new(capacities: &Capacities) -> Host {
    Host::started(Settings::DEFAULT, capacities)
}

fn fuse(host: &mut Host, module: &str) -> Result<()> {
    let (mut buffers, mut wrong) = (Box::new(Buffers::EMPTY), String::new());
    counted(|| {
        host.server.fuse(module.as_bytes(), &mut buffers, &mut |name: &[u8], trouble| {
            wrong += &format!("{}: {trouble}", String::from_utf8_lossy(name));
        });
    });
    if wrong.is_empty() { Ok(()) } else { Err(Error::other(wrong)) }
}

/// The same nodes in requests of a client, in one transaction.
fn write(host: &mut Host, module: &str) -> Result<()> {
    let tx = host.start(0);
    let mut done = |request: String| {
        host.send(0, tx, &request);
        counted(|| host.poll());
        let answer = host.received(0);
        if answer.contains("OK") { Ok(()) } else { Err(Error::other(format!("{request}: {answer}"))) }
    };
    for line in module.lines().filter(|line| line.starts_with('/')) {
        let (path, rest) = line.split_once(" = \"").unwrap_or_default();
        let (value, _) = rest.split_once('"').unwrap_or_default();
        done(format!("WRITE {path}|{value}"))?;
        done(format!("SET_PERMS {path}|n0|r32757|"))?;
    }
    done("TRANSACTION_END T|".to_string())
}

fn print(row: &str, column: &str, count: u64) -> Result<()> {
    Figure::new(TABLE, row, column, count as f64, "instructions").print()
}

/// Callgrind is to collect [`counted`] only.
pub fn ours(callgrind: &Callgrind<'_>) -> Result<()> {
    let image = sizing::of_image(8 << 20).ok_or_else(|| Error::other("too little memory"))?;
    callgrind.switch(true)?;
    let many = module(3, 20_000);
    let mut host = new(&image);
    let count = callgrind.count_while(|| fuse(&mut host, &many))?;
    print("20,000 nodes in three layers, in --memory 8", LAYERED, count)?;
    drop(host);
    let few = module(2, 1000);
    let (mut layered, mut written) = (new(&image), new(&image));
    let row = "1,000 nodes in two layers";
    print(row, LAYERED, callgrind.count_while(|| fuse(&mut layered, &few))?)?;
    layered.poll();
    written.poll();
    print(row, WRITTEN, callgrind.count_while(|| write(&mut written, &few))?)?;
    for (row, request) in [
        ("READ", "READ /layer1/class7/setting399|"),
        ("WRITE", "WRITE /layer1/class7/setting399|other"),
        ("DIRECTORY", "DIRECTORY /layer1/class7|"),
    ] {
        for (column, host) in [(LAYERED, &mut layered), (WRITTEN, &mut written)] {
            host.ask(0, 0, request);
            let all = callgrind.count_while(|| {
                for _ in 0..TIMES {
                    host.send(0, 0, request);
                    counted(|| host.poll());
                    black_box(host.received(0));
                }
                Ok(())
            })?;
            print(row, column, all / TIMES as u64)?;
        }
    }
    Ok(())
}
