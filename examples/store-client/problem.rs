//! Errors, each as one line for the user.

use std::fmt::{self, Write};

pub enum Problem {
    /// The store answered a request with an error.
    Refused { request: &'static str, error: String },
    /// The store is not there or not any more, does not answer, or does not speak xenstore.
    Lost(String),
    /// The call is wrong, as it turns out when a file is read.
    Mistake(String),
    /// Anything else, as it is printed.
    Told(String),
}

impl Problem {
    pub fn new(text: impl Into<String>) -> Problem {
        Problem::Told(text.into())
    }

    pub fn mistake(text: impl Into<String>) -> Problem {
        Problem::Mistake(text.into())
    }

    /// Whether it is this error of the store.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Problem::Refused { error, .. } if error == name)
    }
}

impl fmt::Display for Problem {
    /// Text from stores and files is escaped where it is not printable, so that it cannot control the reader's
    /// terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Problem::Refused { request, error } => format!("the store answers {request} with {error}"),
            Problem::Lost(text) | Problem::Mistake(text) | Problem::Told(text) => text.clone(),
        };
        text.chars().try_for_each(|char| match char {
            // Nothing to a terminal, and easier to read as they are.
            '"' | '\'' | '\\' => f.write_char(char),
            other => write!(f, "{}", other.escape_debug()),
        })
    }
}
