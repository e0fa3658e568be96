//! Looks at the store for scrapes: one at a time, and none sooner than a second after the last, so that no scraper loads it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::stats::Stats;
use store_client::{Problem, tell};

/// For so long a look answers all scrapes.
const FRESH: Duration = Duration::from_secs(1);

type Look<T> = Arc<dyn Fn() -> Result<T, Problem> + Send + Sync>;

pub struct Looks<T = Stats> {
    look: Look<T>,
    /// How long a scrape waits for a look.
    patience: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// When the last one has ended, and what it has found.
    last: Option<(Instant, Option<Arc<T>>)>,
    /// One that a store which hangs has not answered yet.
    under_way: Option<JoinHandle<Result<T, Problem>>>,
}

impl<T: Send + Sync + 'static> Looks<T> {
    pub fn new(
        patience: Duration,
        look: impl Fn() -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Looks<T> {
        let state = Mutex::new(State { last: None, under_way: None });
        Looks { look: Arc::new(look), patience, state }
    }

    /// What a look has found that is fresh at `now`; none if the store does not answer. Scrapes that come meanwhile wait for
    /// the same look.
    pub async fn latest(&self, now: Instant) -> Option<Arc<T>> {
        let mut state = self.state.lock().await;
        if let Some((at, found)) = &state.last
            && now.saturating_duration_since(*at) < FRESH
        {
            return found.clone();
        }
        let (look, begin) = (self.look.clone(), Instant::now());
        let under_way = state.under_way.get_or_insert_with(|| spawn_blocking(move || look()));
        let looked = timeout(self.patience, under_way).await;
        if looked.is_ok() {
            state.under_way = None;
        }
        let found = match looked {
            Ok(Ok(Ok(found))) => Some(Arc::new(found)),
            Ok(Ok(Err(problem))) => {
                tell(format_args!("xs-trace: {problem}"));
                None
            }
            // A store that hangs must not keep the next scrape from being told so.
            Ok(Err(_)) | Err(_) => None,
        };
        state.last = Some((now + begin.elapsed(), found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::sync::mpsc::channel;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test);
    }

    #[test]
    fn a_look_is_for_all_scrapes_of_a_second() {
        let count = AtomicU32::new(0);
        let looks = Looks::new(Duration::from_secs(60), move || Ok(count.fetch_add(1, SeqCst)));
        let begin = Instant::now();
        run(async {
            for (millis, look) in [(0, 0), (1, 0), (999, 0), (100_000, 1), (100_500, 1), (200_000, 2)] {
                let found = looks.latest(begin + Duration::from_millis(millis)).await;
                assert_eq!(found.as_deref(), Some(&look), "after {millis} ms");
            }
        });
    }

    #[test]
    fn a_store_that_hangs_is_asked_no_more_until_it_answers() {
        let (answer, answered) = channel();
        let (answered, count) = (std::sync::Mutex::new(answered), AtomicU32::new(0));
        let looks = Looks::new(Duration::from_millis(10), move || {
            let waited = answered.lock().map(|answered| answered.recv().is_ok());
            Ok((count.fetch_add(1, SeqCst), waited.is_ok_and(|is_told| is_told)))
        });
        let begin = Instant::now();
        run(async {
            for seconds in 0..5 {
                assert_eq!(looks.latest(begin + Duration::from_secs(seconds * 100)).await, None);
            }
            answer.send(()).expect("it waits");
            let mut found = None;
            for seconds in 5.. {
                found = found.or(looks.latest(begin + Duration::from_secs(seconds * 100)).await);
                if found.is_some() {
                    break;
                }
            }
            assert_eq!(found.as_deref(), Some(&(0, true)));
        });
        // A last look does not hold up the end.
        drop(answer);
    }
}
