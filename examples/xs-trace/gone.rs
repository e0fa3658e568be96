//! The names of domains that are gone. A store forgets a name with its node; xl has a log for each domain that it has
//! made, which says in a line "Waiting for domain NAME (domid N) to die" (xl_vmcontrol.c).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// By domid, of the logs in a folder that were written to since then: numbers begin anew when a host starts. Of a number
/// that several logs have, the name in the latest. Without logs there are none.
pub fn names(folder: &Path, since: SystemTime) -> BTreeMap<u16, String> {
    let logs = fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = logs.filter(|log| log.file_name().to_string_lossy().starts_with("xl-"));
    let mut logs: Vec<_> =
        logs.filter_map(|log| Some((log.metadata().ok()?.modified().ok()?, log.path()))).collect();
    logs.retain(|(written, _)| *written >= since);
    logs.sort();
    let texts = logs.iter().filter_map(|(_, log)| fs::read(log).ok());
    texts.flat_map(|text| text.split(|byte| *byte == b'\n').filter_map(named).collect::<Vec<_>>()).collect()
}

fn named(line: &[u8]) -> Option<(u16, String)> {
    let line = line.escape_ascii().to_string();
    let (name, rest) = line.strip_prefix("Waiting for domain ")?.rsplit_once(" (domid ")?;
    let (domid, _) = rest.split_once(") to die")?;
    Some((domid.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_name_domains() {
        for (line, expected) in [
            (&b"Waiting for domain web-1 (domid 12) to die [pid 814]"[..], Some((12, "web-1"))),
            (b"Waiting for domain a (domid 1) b (domid 3) to die [pid 1]", Some((3, "a (domid 1) b"))),
            (b"Waiting for domain \x1b[2J (domid 4) to die", Some((4, r"\x1b[2J"))),
            (b"Domain 12 has shut down, reason code 0 0x0", None),
            (b"Waiting for domain web-1 (domid x) to die [pid 814]", None),
            (b"Waiting for domain web-1 (domid 70000) to die", None),
            (b"", None),
        ] {
            let found = named(line);
            let found = found.as_ref().map(|(domid, name)| (*domid, name.as_str()));
            assert_eq!(found, expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn only_logs_of_this_start_count() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let now = SystemTime::now();
        let log = |name: &str, text: &str, age: u64| {
            let file = folder.path().join(name);
            fs::write(&file, text).expect("written");
            let file = fs::File::options().write(true).open(&file).expect("opened");
            file.set_modified(now - Duration::from_secs(age)).expect("its time is set");
        };
        let waiting = |name: &str, domid: u16| {
            format!(
                "Waiting for domain {name} (domid {domid}) to die [pid 1]\nDomain {domid} has been destroyed.\n"
            )
        };
        log("xl-web.log", &(waiting("web", 1) + &waiting("web", 4)), 50);
        log("xl-older.log", &waiting("older", 4), 60);
        log("xl-before.log", &waiting("before", 2), 500);
        log("other.log", &waiting("other", 3), 5);
        let expected = [(1, "web".to_owned()), (4, "web".to_owned())];
        assert_eq!(names(folder.path(), now - Duration::from_secs(100)), expected.into());
        assert_eq!(names(&folder.path().join("none"), SystemTime::UNIX_EPOCH), [].into());
    }
}
