//! What can go wrong, each as one line for the user.

use std::fmt;

pub enum Problem {
    /// The store answered a request with an error.
    Refused { request: &'static str, error: String },
    /// Anything else, as it is told.
    Told(String),
}

impl Problem {
    pub fn new(text: impl Into<String>) -> Problem {
        Problem::Told(text.into())
    }

    /// Whether it is this error of the store.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Problem::Refused { error, .. } if error == name)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Refused { request, error } => write!(f, "the store answers {request} with {error}"),
            Problem::Told(text) => f.write_str(text),
        }
    }
}
