//! Table 4: many toolstacks at work at the same time, their requests interleaved.

use std::io::{Error, Result};

use xenstore::config::Capacities;
use xenstore::server::sizing;

use crate::daemon::Daemon;
use conformance::programs::Daemon as Program;
use measure::callgrind::Callgrind;
use measure::figure::Figure;
use scale::guests::{Host, Order, run_together, tree};
use support::lives::{FIRST, Life, Part, Recording, Section, World};

const TABLE: u64 = 4;

/// Bytes for the store: far more than is needed.
const MEMORY: usize = 256 << 20;

/// What all toolstacks do at the same time.
struct Phase<'a> {
    toolstacks: u16,
    /// Without one it is there for what follows, and not told.
    name: Option<&'static str>,
    section: &'a Section,
    part: Part,
    order: Order,
    /// Whether its instructions are counted. That takes long where transactions are done many times.
    counted: bool,
}

/// With how many toolstacks real ones are imitated, whose requests come in no order.
const AT_RANDOM: [u16; 2] = [10, 50];

fn phases(recording: &Recording, toolstacks: u16) -> Vec<Phase<'_>> {
    let Recording { start, stop, .. } = recording;
    let phase = |name, section, part, order, counted| Phase {
        toolstacks,
        name: Some(name),
        section,
        part,
        order,
        counted,
    };
    let mut phases = vec![
        phase("starts", start, Part::All, Order::InTurn, true),
        phase("stops that read no list of all guests", stop, Part::WithoutSharedLists, Order::InTurn, true),
        phase("starts in random order", start, Part::All, Order::AtRandom(1), false),
        phase("stops", stop, Part::All, Order::InTurn, false),
    ];
    for toolstacks in AT_RANDOM.into_iter().filter(|few| *few < toolstacks).chain([toolstacks]) {
        let starts = phase("", start, Part::Changes, Order::InTurn, false);
        let stops = phase("stops in random order", stop, Part::All, Order::AtRandom(1), false);
        phases.extend([Phase { toolstacks, name: None, ..starts }, Phase { toolstacks, ..stops }]);
    }
    phases
}

/// One more guest, as there was when the others were recorded.
fn add_resident<W: World>(world: &mut W, recording: &Recording) -> Result<()> {
    let dom0 = world.dom0();
    Life::new(&recording.start, FIRST, dom0, Part::All).run(world).map_err(Error::other)
}

/// How often a transaction had to be done again while one toolstack for each session did its part.
fn together<W: World>(world: &mut W, phase: &Phase<'_>, sessions: &[W::Session]) -> Result<u64> {
    let lives = (FIRST + 1..).zip(sessions.iter().take(usize::from(phase.toolstacks)));
    let mut lives: Vec<_> =
        lives.map(|(domid, from)| Life::new(phase.section, domid, *from, phase.part)).collect();
    run_together(world, &mut lives, phase.order).map_err(Error::other)?;
    Ok(lives.iter().map(|life| life.again).sum())
}

/// Of this library, each toolstack with a session of its own. With callgrind, which is to collect
/// [`Host::serve`] only, the work is counted, too.
pub fn ours(
    name: &str,
    callgrind: Option<&Callgrind<'_>>,
    recording: &Recording,
    toolstacks: u16,
) -> Result<()> {
    let capacities = sizing::capacities_for(MEMORY, Capacities::default_trace(MEMORY))
        .ok_or_else(|| Error::other("too little memory"))?;
    let mut host = Host::new(&capacities, recording).map_err(Error::other)?;
    let mut other = Host::new(&capacities, recording).map_err(Error::other)?;
    let sessions: std::result::Result<Vec<_>, _> = (0..toolstacks).map(|_| host.accept()).collect();
    let sessions = sessions.map_err(Error::other)?;
    add_resident(&mut host, recording)?;
    add_resident(&mut other, recording)?;
    for phase in phases(recording, toolstacks) {
        let callgrind = callgrind.filter(|_| phase.counted);
        let count = |work: &mut dyn FnMut() -> Result<()>| match callgrind {
            None => work().map(|()| 0),
            Some(callgrind) => {
                callgrind.switch(true)?;
                let count = callgrind.count_while(work)?;
                callgrind.switch(false)?;
                Ok(count)
            }
        };
        let mut again = 0;
        let all = count(&mut || {
            again = together(&mut host, &phase, &sessions)?;
            Ok(())
        })?;
        // The same, one toolstack after the other.
        let dom0 = other.dom0();
        let mut alone =
            |domid| Life::new(phase.section, domid, dom0, phase.part).run(&mut other).map_err(Error::other);
        let one = count(&mut || alone(FIRST + 1))?;
        (FIRST + 2..=FIRST + phase.toolstacks).try_for_each(alone)?;
        let Some(named) = phase.name else { continue };
        let (got, wanted) = (tree(&mut host).map_err(Error::other)?, tree(&mut other).map_err(Error::other)?);
        let missing = wanted.iter().filter(|(path, node)| got.get(*path) != Some(node)).count();
        let surplus = got.keys().filter(|path| !wanted.contains_key(*path)).count();

        let row = format!("{} {named}", phase.toolstacks);
        let figure = |column: &str, value: f64, unit| {
            Figure::new(TABLE, &row, &format!("{name}{column}"), value, unit).print()
        };
        figure("", again as f64, "EAGAIN")?;
        figure(", nodes that are wrong in the end", (missing + surplus) as f64, "nodes")?;
        if callgrind.is_some() {
            figure(", work for all, times that for one", all as f64 / one as f64, "times")?;
        }
    }
    Ok(())
}

/// Of one of Xen's own servers, all toolstacks behind dom0's kernel.
pub fn theirs(name: &str, program: &Program, recording: &Recording, toolstacks: u16) -> Result<()> {
    let mut daemon = Daemon::start(program, recording).map_err(Error::other)?;
    add_resident(&mut daemon, recording)?;
    let sessions = vec![daemon.dom0(); usize::from(toolstacks)];
    for phase in phases(recording, toolstacks) {
        let again = together(&mut daemon, &phase, &sessions)?;
        if let Some(named) = phase.name {
            Figure::new(TABLE, &format!("{} {named}", phase.toolstacks), name, again as f64, "EAGAIN")
                .print()?;
        }
    }
    Ok(())
}
