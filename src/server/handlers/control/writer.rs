//! Tables of names and numbers, as text and as JSON.

use core::fmt::{self, Write};

use super::answer::{finish, write_version};
use crate::server::context::Outcome;
use crate::server::scratch::Reply;
use crate::wire::XsError;

/// Widths in text: of the rows' names, and of their values.
pub const NAME: usize = 20;
pub const WIDTH: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// Writes names and numbers in either form.
pub struct Writer<'a> {
    pub reply: &'a mut Reply,
    pub form: Form,
    /// There is an element before at this level, so JSON needs a comma.
    pub follows: bool,
}

impl Writer<'_> {
    pub fn put(&mut self, text: core::fmt::Arguments<'_>) -> Result<(), XsError> {
        self.reply.write_fmt(text).map_err(|_| XsError::E2BIG)
    }

    pub fn comma(&mut self) -> Result<(), XsError> {
        if self.form == Form::Json && core::mem::replace(&mut self.follows, true) {
            return self.put(format_args!(","));
        }
        Ok(())
    }

    pub fn number(&mut self, name: &str, value: u64) -> Result<(), XsError> {
        self.comma()?;
        match self.form {
            Form::Text => self.put(format_args!("{name:<17}: {value:>8}\n")),
            Form::Json => self.put(format_args!("\"{name}\":{value}")),
        }
    }

    /// Which version tells all this, and as much of its build as there is room for beside the longest tables.
    pub fn version(&mut self, build: &[u8]) -> Result<(), XsError> {
        let (before, after) = match self.form {
            Form::Text => ("version          : ", "\n"),
            Form::Json => ("\"version\":\"", "\""),
        };
        self.comma()?;
        self.reply.push(before.as_bytes())?;
        write_version(build.get(..8).unwrap_or(build), self.reply)?;
        self.reply.push(after.as_bytes())
    }

    /// Begins a group with this name. In JSON a group without a name is the whole answer.
    pub fn open(&mut self, name: &str) -> Result<(), XsError> {
        self.comma()?;
        self.follows = false;
        match (self.form, name) {
            (Form::Text, "") => Ok(()),
            (Form::Text, _) => self.put(format_args!("\n{name}\n")),
            (Form::Json, "") => self.put(format_args!("{{")),
            (Form::Json, _) => self.put(format_args!("\"{name}\":{{")),
        }
    }

    pub fn close(&mut self) -> Result<(), XsError> {
        self.follows = true;
        if self.form == Form::Json { self.put(format_args!("}}")) } else { Ok(()) }
    }

    /// A row's values, in a text each `width` wide at least.
    pub fn values(&mut self, width: usize, values: &[u64]) -> Result<(), XsError> {
        if self.form == Form::Text {
            return values.iter().try_for_each(|value| self.put(format_args!(" {value:>width$}")));
        }
        let mut before = '[';
        for value in values {
            self.put(format_args!("{before}{value}"))?;
            before = ',';
        }
        self.put(format_args!("]"))
    }

    /// A row of a table.
    pub fn row(&mut self, name: &str, values: &[u64]) -> Result<(), XsError> {
        self.comma()?;
        match self.form {
            Form::Text => self.put(format_args!("{name:<NAME$}"))?,
            Form::Json => self.put(format_args!("\"{name}\":"))?,
        }
        self.values(WIDTH, values)?;
        self.end_line()
    }

    /// A row of text. In JSON its quotation marks and backslashes are escaped.
    pub fn reason(&mut self, name: &str, text: core::fmt::Arguments<'_>) -> Result<(), XsError> {
        if self.form == Form::Text {
            return self.put(format_args!("{name:<NAME$} {text}\n"));
        }
        self.comma()?;
        self.put(format_args!("\"{name}\":\""))?;
        write!(Escaped(self.reply), "{text}").map_err(|_| XsError::E2BIG)?;
        self.put(format_args!("\""))
    }

    pub fn end_line(&mut self) -> Result<(), XsError> {
        if self.form == Form::Text { self.put(format_args!("\n")) } else { Ok(()) }
    }

    /// The names of a table's columns, in a text each `width` wide and behind `names` for those of the rows. JSON has
    /// them here only, not in each row, so that every answer fits a message.
    pub fn heading(&mut self, names: usize, width: usize, columns: &[&str]) -> Result<(), XsError> {
        if self.form == Form::Text {
            self.put(format_args!("{:<names$}", ""))?;
            columns.iter().try_for_each(|name| self.put(format_args!(" {name:>width$}")))?;
            return self.end_line();
        }
        self.comma()?;
        let mut before = "\"columns\":[";
        for name in columns {
            self.put(format_args!("{before}\"{name}\""))?;
            before = ",";
        }
        self.put(format_args!("]"))
    }

    pub fn finish(self) -> Result<Outcome, XsError> {
        if self.form == Form::Json {
            self.reply.push(b"\n")?;
        }
        finish(self.reply)
    }
}

/// Text within quotation marks.
struct Escaped<'a>(&'a mut Reply);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| {
            if matches!(char, '"' | '\\') {
                self.0.write_char('\\')?;
            }
            self.0.write_char(char)
        })
    }
}
