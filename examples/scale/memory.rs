//! Table 5: what fits into the image's memory, and what a node and an idle domain take.

use std::io::{Error, Result};

use xenstore::config::Capacities;
use xenstore::server::sizing;
use xenstore::wire::MessageType;

use crate::daemon::Daemon;
use conformance::programs::Daemon as Program;
use measure::figure::Figure;
use scale::guests::Host;
use support::lives::{FIRST, Life, Part, Recording, World};

const TABLE: u64 = 5;

const GUEST: &str = "a guest, with all that it has in the store";
const NODE: &str = "a node with a short name and value";

/// Nodes that are written to see what one takes.
const NODES: usize = 10_000;

fn failed(problem: impl ToString) -> Error {
    Error::other(problem.to_string())
}

/// Guests that are made to see what one takes.
const GUESTS: u16 = 100;

fn print(row: &str, column: &str, value: f64, unit: &str) -> Result<()> {
    Figure::new(TABLE, row, column, value, unit).print()
}

/// Of this library, with the memory that the image has.
pub fn ours(name: &str, recording: &Recording) -> Result<()> {
    for mib in [8, 64] {
        let capacities = capacities(mib)?;
        let mut host = Host::new(&capacities, recording).map_err(failed)?;
        let empty = host.in_use();
        let (mut guests, mut all) = (0, empty);
        while start(&mut host, recording, guests).is_ok() {
            guests += 1;
            all = host.in_use();
        }
        print(&format!("guests in --memory {mib}"), name, f64::from(guests), "guests")?;
        print(&format!("their nodes in --memory {mib}"), name, (all.nodes - empty.nodes) as f64, "nodes")?;
        if mib == 64 {
            let one = (sizing::memory(&all) - sizing::memory(&empty)) as f64 / f64::from(guests);
            print(GUEST, name, one, "bytes")?;
        }
    }
    let capacities = capacities(64)?;
    let each = |without: Capacities, count: usize| {
        (sizing::memory(&capacities) - sizing::memory(&without)) as f64 / count as f64
    };
    print(NODE, name, each(Capacities { nodes: 0, ..capacities }, capacities.nodes), "bytes")?;
    let idle = each(Capacities { domains: 0, ..capacities }, capacities.domains);
    print("an idle domain beside its ring page", name, idle, "bytes")?;
    Ok(())
}

/// What the store of the image has with `--memory mib`.
fn capacities(mib: usize) -> Result<Capacities> {
    sizing::of_image(mib << 20).ok_or_else(|| failed("too little memory"))
}

fn start<W: World>(world: &mut W, recording: &Recording, guest: u16) -> Result<()> {
    let dom0 = world.dom0();
    Life::new(&recording.start, FIRST + guest, dom0, Part::Changes).run(world).map_err(failed)
}

/// Of C xenstored, as it reports itself.
pub fn theirs(name: &str, program: &Program, recording: &Recording) -> Result<()> {
    let mut daemon = Daemon::start(program, recording).map_err(failed)?;
    let empty = daemon.held().map_err(failed)?;
    (0..GUESTS).try_for_each(|guest| start(&mut daemon, recording, guest))?;
    let guests = daemon.held().map_err(failed)?;
    print(GUEST, name, (guests - empty) / f64::from(GUESTS), "bytes")?;
    for node in 0..NODES {
        daemon.tell(MessageType::Write, format!("/nodes/{node}\01").as_bytes()).map_err(failed)?;
    }
    print(NODE, name, (daemon.held().map_err(failed)? - guests) / NODES as f64, "bytes")?;
    Ok(())
}
