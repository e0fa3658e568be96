//! Reading the answer to `stats json`. Not in the support crate: the fuzzers use that and have no JSON.

use support::Host;

/// The answer to `stats json` about a subject.
#[track_caller]
pub fn stats(host: &mut Host, subject: &str) -> serde_json::Value {
    let arguments = subject.split_whitespace().map(|word| format!("{word}|")).collect::<String>();
    let text = host.ask(0, 0, &format!("CONTROL stats|json|{arguments}"));
    let text = text.trim_end_matches("\\n|").replace("\\\"", "\"");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
