//! Dumps that an image under `xl create` has put on its console.

use xenstore::platform::Cycles;

use crate::{run, text};
use support::Host;

const HEAD: &str = "dump: xenstore-trace 1 first=0 count=0 end=0 lost=0 khz=1 started=0\n";

/// What the console daemon has logged of a store that was asked for something, with times or without.
fn logged(time: &str) -> String {
    let mut host = Host::new();
    host.boot(1);
    host.ok(1, 0, "WRITE data/of-the-guest|1|");
    let mut log = format!("{time}state: staying\r\n");
    host.server.dump_trace(Cycles(0), 1_000_000, &mut |line| log += &format!("{time}{line}\r\n"));
    log + time + "bye\n"
}

#[test]
fn are_read_like_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (log, file) = (folder.path().join("log"), folder.path().join("dump"));
    let take = || run(&["dump", "--console", text(&log), text(&file)]);
    for time in ["", "[2026-11-22 10:20:30] "] {
        // The last that is whole counts.
        let all = [&logged(time), &logged(time)[..], "dump: xenstore-trace 1 first=0"].concat();
        std::fs::write(&log, &all).expect("written");
        take().expect("a dump");
        let shown = run(&["show", "--type", "WRITE", "--domain", "1", text(&file)]).expect("shown");
        let [begun, ended] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
        assert!(begun.contains(" d1 ") && begun.contains("WRITE begun, tx 0"), "{begun}");
        assert!(ended.ends_with(" /local/domain/1/data/of-the-guest"), "{ended}");

        let mut lines: Vec<&str> = all.lines().collect();
        let last = lines.iter().rposition(|line| line.contains("dump: records ")).expect("records");
        lines.remove(last);
        std::fs::write(&log, lines.join("\n")).expect("written");
        assert!(take().expect_err("a line is missing").contains("the console has lost lines"));
    }
    std::fs::write(&log, "nothing\n").expect("written");
    assert!(take().expect_err("no dump").contains("no whole dump of a xenstore-stubdom's trace is in it"));
}

#[test]
fn that_would_write_to_the_terminal_are_not_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (log, file) = (folder.path().join("log"), folder.path().join("dump"));
    for (line, expected) in [
        ("\x1b]0;title\x07\u{202e} junk", r"a damaged line: \u{1b}]0;title\u{7}\u{202e} junk"),
        ("path 0000000000000001 \x1b[31mred", "not saved: a name that cannot be printed"),
    ] {
        std::fs::write(&log, format!("{HEAD}dump: {line}\ndump: end\n")).expect("written");
        let told = run(&["dump", "--console", text(&log), text(&file)]).expect_err("a mistake");
        assert!(told.contains(expected) && !file.exists(), "{told}");
    }
    let told = run(&["dump", "--console", text(&log), text(&log)]).expect_err("a mistake");
    assert!(told.contains("that is what it is made of") && told.lines().count() == 1, "{told}");
}

#[test]
fn what_is_cut_of_a_long_path_shows() {
    let mut host = Host::new();
    let long = format!("/{}", "x".repeat(200));
    host.ok(0, 0, &format!("WRITE {long}|1"));
    host.ok(0, 0, &format!("WRITE {}|1", &long[..180]));
    host.ok(0, 0, &format!("CONTROL trace|mark|{}|", "\u{1}".repeat(100)));
    let mut lines = Vec::new();
    host.server.dump_trace(Cycles(0), 1_000_000, &mut |line| lines.push(line.to_string()));
    let paths: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with("dump: path "))
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    let mark = format!("{}...", "\\x01".repeat(45));
    assert_eq!(paths[paths.len() - 3..], [&format!("{}...", &long[..180]), &long[..180], &mark]);
    assert!(lines.iter().all(|line| line.len() <= 240), "more than a line of the console");
}
