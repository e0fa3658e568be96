//! Table 3: what a guest's life costs the server, by how many guests there are.

use std::io::{Error, Result};

use xenstore::config::Capacities;
use xenstore::server::sizing;

use crate::daemon::Daemon;
use conformance::programs::Daemon as Program;
use measure::callgrind::Callgrind;
use measure::figure::Figure;
use scale::guests::Host;
use support::lives::{FIRST, Life, Part, Recording, World};

const TABLE: u64 = 3;

/// Bytes for the store: what `--memory 1367` leaves, the trace included, enough for 32,000 guests.
const MEMORY: usize = 1366 << 20;

/// Of this library, as in the image: over rings. Callgrind is to collect [`Host::serve`] only.
pub fn ours(name: &str, callgrind: &Callgrind<'_>, recording: &Recording, counts: &[u16]) -> Result<()> {
    let capacities = sizing::capacities_for(MEMORY, Capacities::default_trace(MEMORY))
        .ok_or_else(|| Error::other("too little memory"))?;
    let mut host = Host::new(&capacities, recording).map_err(Error::other)?;
    let empty = sizing::memory(&host.in_use());
    replay(name, &mut host, callgrind, recording, counts, |host| {
        Ok((sizing::memory(&host.in_use()) - empty) as f64)
    })
}

/// Of one of Xen's own servers, which runs under valgrind, over rings, too.
pub fn theirs(
    name: &str,
    program: &Program,
    callgrind: &Callgrind<'_>,
    recording: &Recording,
    counts: &[u16],
) -> Result<()> {
    let mut daemon = Daemon::start(program, recording).map_err(Error::other)?;
    let empty = daemon.held().map_err(Error::other)?;
    replay(name, &mut daemon, callgrind, recording, counts, |daemon| {
        Ok(daemon.held().map_err(Error::other)? - empty)
    })
}

/// Measures at each of these numbers of guests, in this order. `memory` returns the bytes that all guests
/// take.
fn replay<W: World>(
    name: &str,
    world: &mut W,
    callgrind: &Callgrind<'_>,
    recording: &Recording,
    counts: &[u16],
    memory: impl Fn(&mut W) -> Result<f64>,
) -> Result<()> {
    let dom0 = world.dom0();
    let mut alive = 0;
    let mut first = None;
    for &count in counts {
        let live = |world: &mut W, section, last, part| {
            Life::new(section, FIRST + last, dom0, part).run(world).map_err(Error::other)
        };
        let counted = |world: &mut W, section, last, part| {
            callgrind.switch(true)?;
            let count = callgrind.count_while(|| live(world, section, last, part))?;
            callgrind.switch(false)?;
            Ok::<_, Error>(count as f64)
        };
        let Recording { start, stop, .. } = recording;
        while alive + 1 < count {
            live(world, start, alive, Part::Changes)?;
            alive += 1;
        }
        // The last one comes and goes twice: once for all that is its own, and once for the lists of all
        // guests.
        let life = counted(world, start, alive, Part::WithoutSharedLists)?
            + counted(world, stop, alive, Part::WithoutSharedLists)?;
        live(world, start, alive, Part::Changes)?;
        let with_lists = counted(world, stop, alive, Part::All)?;
        live(world, start, alive, Part::Changes)?;
        let stop = counted(world, stop, alive, Part::WithoutSharedLists)?;
        live(world, start, alive, Part::Changes)?;
        alive += 1;

        let row = if count == 1 { "1 guest".to_owned() } else { format!("{count} guests") };
        let figure =
            |what: &str, value, unit| Figure::new(TABLE, &row, &format!("{name}{what}"), value, unit).print();
        figure("", life, "instructions")?;
        figure(", times the first", life / *first.get_or_insert(life), "times")?;
        figure(", lists of all guests", with_lists - stop, "instructions")?;
        figure(", memory for each guest", memory(world)? / f64::from(alive), "bytes")?;
    }
    Ok(())
}
