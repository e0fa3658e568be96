//! What a store is and where: its version and build, the host's Xen, the host, and this program.

use std::fs;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use store_client::Problem;
use store_client::Store;

/// All as text for people. What nobody could tell is `unknown`.
#[derive(Clone, Serialize, Deserialize, Default)]
pub struct About {
    /// Of the store: name and number.
    pub version: String,
    /// What tells its build from others.
    pub build: String,
    /// The version of Xen that runs this machine.
    pub xen: String,
    /// The machine's name.
    pub host: String,
    /// The version of this program.
    pub tool: String,
    /// When it was asked, UTC, as RFC 3339 has it.
    pub at: String,
}

const UNKNOWN: &str = "unknown";

impl About {
    /// # Errors
    /// If the store is lost. An answer of another version is none.
    pub fn ask(store: &mut Store) -> Result<About, Problem> {
        let told = match store.control(&["version"]) {
            Ok(told) => told,
            Err(Problem::Lost(lost)) => return Err(Problem::Lost(lost)),
            Err(_) => String::new(),
        };
        let (version, build) = told.trim_end().split_once(", build ").unwrap_or((UNKNOWN, UNKNOWN));
        Ok(About {
            version: printable(version),
            build: printable(build),
            xen: xen().unwrap_or_else(|| UNKNOWN.to_owned()),
            host: read("/proc/sys/kernel/hostname").unwrap_or_else(|| UNKNOWN.to_owned()),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            at: Timestamp::now()
                .round(Unit::Second)
                .map_or_else(|_| UNKNOWN.to_owned(), |now| now.to_string()),
        })
    }

    /// For metrics: the time is theirs.
    pub fn members(&self) -> [(&'static str, String); 5] {
        let About { version, build, xen, host, tool, .. } = self.clone();
        [("version", version), ("build", build), ("xen", xen), ("host", host), ("tool", tool)]
    }

    /// In one line.
    pub fn line(&self) -> String {
        if self.version.is_empty() {
            return "not known: the dump is of a console's log, or of an older xs-trace".to_owned();
        }
        let About { version, build, xen, host, tool, at } = self;
        format!("{version}, build {build}; Xen {xen}; host {host}; {at}; xs-trace {tool}")
    }
}

/// As the hypervisor's files of sysfs have it.
fn xen() -> Option<String> {
    let part = |name: &str| read(&format!("/sys/hypervisor/version/{name}"));
    Some(format!("{}.{}{}", part("major")?, part("minor")?, part("extra").unwrap_or_default()))
}

/// In plain ASCII, as all names in a dump are: a host may have any name.
fn printable(text: &str) -> String {
    text.escape_default().to_string()
}

/// The only line of a file.
fn read(file: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(printable(text.trim())).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_has_a_name_that_can_be_printed() {
        for (name, printed) in
            [("web-1.example", "web-1.example"), ("höst", r"h\u{f6}st"), ("\x1b", r"\u{1b}")]
        {
            assert_eq!(printable(name), printed);
        }
    }
}
