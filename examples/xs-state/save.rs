//! Takes the state of a running store.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use store_client::{Place, Problem, Store};
use xenstore::state::page::{Head, What};

/// All of it as it was at one moment: the store holds it while it is fetched.
pub fn fetch(place: &Place) -> Result<Vec<u8>, Problem> {
    let mut store = place.open()?;
    let (head, mut state) = page(&mut store, &["state", "dump"])?;
    while state.len() < head.size {
        let words = [head.number, state.len() as u64].map(|word| word.to_string());
        let (next, more) = page(&mut store, &["state", "dump", &words[0], &words[1]])?;
        if next.number != head.number || next.first != state.len() || more.is_empty() {
            return Err(damaged());
        }
        state.extend(more);
    }
    Ok(state)
}

fn damaged() -> Problem {
    Problem::new("the store answers with a page that is damaged")
}

fn page(store: &mut Store, words: &[&str]) -> Result<(Head, Vec<u8>), Problem> {
    let page = store.control(words)?;
    let Some((head, text)) = Head::parse(What::State, &page) else {
        return Err(Problem::new(format!("the store does not give its state: {}", page.trim_end())));
    };
    let bytes = STANDARD.decode(text.trim_end()).ok().filter(|bytes| bytes.len() == head.count);
    Ok((head, bytes.ok_or_else(damaged)?))
}
