//! Every option of the image's command line, and the report of words that are not followed.

use log::LevelFilter;
use xenstore::abi::{DomId, Port};
use xenstore::cmdline::{EventFormat, Options, parse};

fn run(line: &str) -> (Options, Vec<String>) {
    let mut problems = Vec::new();
    let options = parse(line.as_bytes(), |problem| problems.push(problem.to_string()));
    (options, problems)
}

fn with(change: impl Fn(&mut Options)) -> Options {
    let mut options = Options::DEFAULT;
    change(&mut options);
    options
}

#[test]
fn every_form_of_every_option_sets_what_it_names() {
    type Change = fn(&mut Options);
    let rows: &[(&str, Change)] = &[
        ("", |_| {}),
        ("  \t \n", |_| {}),
        ("--event 27", |o| o.event = Some(Port(27))),
        ("--event=27", |o| o.event = Some(Port(27))),
        ("--event 1 --event 2", |o| o.event = Some(Port(2))),
        ("stay", |o| o.standalone.stay = true),
        ("dump fail seconds=3600", |o| {
            o.standalone.dump = true;
            o.standalone.fail = true;
            o.standalone.seconds = 3600;
        }),
        ("--event 131071", |o| o.event = Some(Port(131_071))),
        ("loglevel=warn,--quota=nodes=1,-Q,watches=2,", |o| {
            o.log_level = LevelFilter::Warn;
            o.settings.quotas.nodes = 1;
            o.settings.quotas.watches = 2;
        }),
        ("loglevel=error", |o| o.log_level = LevelFilter::Error),
        ("loglevel=warn", |o| o.log_level = LevelFilter::Warn),
        ("loglevel=info", |o| o.log_level = LevelFilter::Info),
        ("loglevel=debug", |o| o.log_level = LevelFilter::Debug),
        ("loglevel=trace", |o| o.log_level = LevelFilter::Trace),
        ("--trace-size 4", |o| o.trace_size = Some(4)),
        ("--trace-size=1048576", |o| o.trace_size = Some(1 << 20)),
        ("--restarts 0", |o| o.restarts = 0),
        ("--restarts=1000 --allow-fault", |o| {
            o.restarts = 1000;
            o.allow_fault = true;
        }),
        ("--quota nodes=1", |o| o.settings.quotas.nodes = 1),
        ("--quota=nodes=1", |o| o.settings.quotas.nodes = 1),
        ("-Q nodes=1", |o| o.settings.quotas.nodes = 1),
        ("-Qnodes=1", |o| o.settings.quotas.nodes = 1),
        ("-Q watches=2", |o| o.settings.quotas.watches = 2),
        ("-Q outstanding=3", |o| o.settings.quotas.outstanding = 3),
        ("-Q memory=4294967295", |o| o.settings.quotas.memory = u32::MAX),
        ("-Q transactions=5", |o| o.settings.quotas.transactions = 5),
        ("-Q transaction-nodes=6", |o| o.settings.quotas.transaction_nodes = 6),
        ("-Q node-permissions=7", |o| o.settings.quotas.node_permissions = 7),
        ("-Q permissions=7", |o| o.settings.quotas.node_permissions = 7),
        ("-Q path-max=8", |o| o.settings.quotas.path_max = 8),
        ("-Q path-length=9000", |o| o.settings.quotas.path_max = 2048),
        ("-Q node-size=0", |o| o.settings.quotas.node_size = 0),
        ("--quota-soft memory=9", |o| o.settings.quotas.soft_memory = 9),
        ("-q memory=9", |o| o.settings.quotas.soft_memory = 9),
        ("--entry-nb 10", |o| o.settings.quotas.nodes = 10),
        ("-E10", |o| o.settings.quotas.nodes = 10),
        ("--entry-size=11", |o| o.settings.quotas.node_size = 11),
        ("-S 11", |o| o.settings.quotas.node_size = 11),
        ("--watch-nb 12", |o| o.settings.quotas.watches = 12),
        ("-W 12", |o| o.settings.quotas.watches = 12),
        ("--transaction 13", |o| o.settings.quotas.transactions = 13),
        ("-t 13", |o| o.settings.quotas.transactions = 13),
        ("--perm-nb 14", |o| o.settings.quotas.node_permissions = 14),
        ("-A 14", |o| o.settings.quotas.node_permissions = 14),
        ("--path-max 15", |o| o.settings.quotas.path_max = 15),
        ("-M 4096", |o| o.settings.quotas.path_max = 2048),
        ("--timeout watch-event=16", |o| o.settings.watch_event_timeout = 16),
        ("-w watch-event=0", |o| o.settings.watch_event_timeout = 0),
        ("--budget 0", |o| o.settings.budget = 0),
        ("--budget=1000000", |o| o.settings.budget = 1_000_000),
        ("--keep-orphans", |o| o.settings.keep_orphans = true),
        ("-K", |o| o.settings.keep_orphans = true),
        ("--priv-domid 0", |o| o.priv_domid = DomId(0)),
        ("--priv-domid=32751", |o| o.priv_domid = DomId(32_751)),
        ("--master-domid 3", |o| o.master_domid = Some(DomId(3))),
        ("--evtchn=2l", |o| o.event_format = EventFormat::TwoLevel),
        ("--evtchn 2l --evtchn fifo", |_| {}),
        ("--event 5 -K loglevel=debug -E 7", |o| {
            o.event = Some(Port(5));
            o.settings.keep_orphans = true;
            o.log_level = LevelFilter::Debug;
            o.settings.quotas.nodes = 7;
        }),
    ];
    for (line, change) in rows {
        let (options, problems) = run(line);
        assert_eq!(options, with(change), "{line:?}");
        assert!(problems.is_empty(), "{line:?}: {problems:?}");
    }
}

#[test]
fn a_bad_word_is_named_once_and_the_rest_still_counts() {
    let rows = [
        ("--event", "option event has no value, ignored; allowed is a port from 1 to 131071"),
        ("--event 0", "option event: \"0\" ignored; allowed is a port from 1 to 131071"),
        ("--event x", "option event: \"x\" ignored; allowed is a port from 1 to 131071"),
        ("--event=", "option event: \"\" ignored; allowed is a port from 1 to 131071"),
        ("--event 131072", "option event: \"131072\" ignored; allowed is a port from 1 to 131071"),
        ("-E -1", "option entry-nb: \"-1\" ignored; allowed is a number from 0 to 4294967295"),
        (
            "-E 4294967296",
            "option entry-nb: \"4294967296\" ignored; allowed is a number from 0 to 4294967295",
        ),
        ("-q nodes=1", "option quota-soft: \"nodes=1\" ignored; allowed is memory=NUMBER"),
        ("-w 5", "option timeout: \"5\" ignored; allowed is watch-event=SECONDS"),
        ("--budget=1000001", "option budget: \"1000001\" ignored; allowed is a number from 0 to 1000000"),
        ("--budget x", "option budget: \"x\" ignored; allowed is a number from 0 to 1000000"),
        ("--priv-domid 32752", "option priv-domid: \"32752\" ignored; allowed is a domid from 0 to 32751"),
        ("--evtchn=3l", "option evtchn: \"3l\" ignored; allowed is 2l or fifo"),
        ("--keep-orphans=yes -K", "option keep-orphans takes no value, \"yes\" ignored"),
        ("--restarts x", "option restarts: \"x\" ignored; allowed is a number from 0 to 4294967295"),
        ("--allow-fault=loop", "option allow-fault takes no value, \"loop\" ignored"),
        ("--trace-size 3", "option trace-size: \"3\" ignored; allowed is a number of KiB from 4 to 1048576"),
        ("loglevel=loud", "option loglevel: \"loud\" ignored; allowed is error, warn, info, debug or trace"),
        ("--no-fork", "option no-fork has no effect in a xenstore domain"),
        ("-N", "option no-fork has no effect in a xenstore domain"),
        ("--pid-file /run/pid", "option pid-file has no effect in a xenstore domain"),
        ("--trace-file=/tmp/x", "option trace-file has no effect in a xenstore domain"),
        ("-T /tmp/x", "option trace-file has no effect in a xenstore domain"),
        ("-I", "option internal-db has no effect in a xenstore domain"),
    ];
    for (line, expected) in rows {
        let (options, problems) = run(line);
        assert_eq!(problems, [expected], "{line:?}");
        assert_eq!(options.event, None, "{line:?}");
        let with_more = format!("loglevel=debug --watch-nb 3 {line}");
        let (options, problems) = run(&with_more);
        assert_eq!(problems, [expected], "{line:?}");
        assert_eq!(options.settings.quotas.watches, 3);
    }
    for line in ["--quota nodes", "--quota =1", "--quota size=1", "--quota nodes=", "--quota nodes=1x"] {
        let (options, problems) = run(line);
        assert_eq!(options, Options::DEFAULT);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("option quota: ") && problems[0].contains("node-permissions"));
    }
}

#[test]
fn the_words_of_a_trial_have_no_effect_on_a_store_that_serves() {
    for word in ["stay", "dump", "fail", "seconds=5", "seconds=0"] {
        let (_, problems) = run(&format!("--event 4 {word}"));
        let option = word.split('=').next().expect("a name");
        assert_eq!(problems, [format!("option {option} has no effect in a xenstore domain")]);
    }
}

#[test]
fn an_unknown_word_is_escaped_and_answered_with_what_is_known() {
    for word in ["--frobnicate", "-x", "-", "--", "nonsense", "--event2=1", "loglevel"] {
        let (options, problems) = run(&format!("--event 4 {word}"));
        assert_eq!(options, with(|o| o.event = Some(Port(4))));
        assert_eq!(problems.len(), 1, "{word:?}");
        assert!(problems[0].starts_with(&format!("unknown option \"{word}\"")), "{problems:?}");
        assert!(problems[0].len() < 200, "Xen's log breaks longer lines");
        assert!(problems[0].contains("(event evtchn quota ") && !problems[0].contains("pid-file"));
        let (_, problems) = run(word);
        let known = "known: stay dump fail seconds=, and the store's options";
        assert_eq!(problems, [format!("unknown word \"{word}\"; {known}")]);
    }
    assert_eq!(run("seconds=0").1, ["option seconds: \"0\" ignored; allowed is a number from 1 to 3600"]);
    let mut problems = Vec::new();
    parse(b"\xff\x1b[2J --event 4", |problem| problems.push(problem.to_string()));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("\\xff\\x1b[2J"));
}

#[test]
fn a_value_that_looks_like_an_option_is_still_the_value() {
    let (options, problems) = run("--event --keep-orphans");
    assert_eq!(options, Options::DEFAULT);
    assert_eq!(problems.len(), 1);
}
