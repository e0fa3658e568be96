//! Many lives at once, interleaved request by request.

use support::lives::{Life, World};

/// Which life makes the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// All that are not done yet, in turn.
    InTurn,
    /// Any of them, as a generator with this seed has it.
    AtRandom(u64),
}

/// Does all that is left of all lives.
pub fn run_together<W: World>(
    world: &mut W,
    lives: &mut [Life<'_, W::Session>],
    order: Order,
) -> Result<(), String> {
    let mut left: Vec<&mut Life<'_, W::Session>> = lives.iter_mut().collect();
    match order {
        Order::InTurn => {
            while !left.is_empty() {
                let mut failed = None;
                left.retain_mut(|life| {
                    life.step(world).unwrap_or_else(|problem| {
                        failed = Some(problem);
                        false
                    })
                });
                if let Some(problem) = failed {
                    return Err(problem);
                }
            }
        }
        Order::AtRandom(seed) => {
            let mut random = fastrand::Rng::with_seed(seed);
            while !left.is_empty() {
                let at = random.usize(..left.len());
                if !left[at].step(world)? {
                    left.swap_remove(at);
                }
            }
        }
    }
    Ok(())
}
