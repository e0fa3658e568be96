//! What `report` sums up.

use xenstore::wire::MessageType;

use crate::{Server, run, text, words};

#[test]
fn a_report_counts_what_was_asked() {
    let server = Server::start(256);
    let mut client = server.connect();
    client.ask(MessageType::Watch, 0, "/a\0token\0");
    for _ in 0..5 {
        client.write(0, "/a");
        client.ask(MessageType::Read, 0, "/<none>\0");
    }
    for _ in 0..3 {
        let tx = client.begin();
        client.ask(MessageType::Read, tx, "/a\0");
        client.write(0, "/a");
        assert_eq!(client.commit(tx), "EAGAIN");
    }
    client.ask(MessageType::Control, 0, "trace\0mark\0<here>\0");
    let file = server.dump();
    let report = run(&["report", text(&file)]).expect("a report");
    let words = words(&report);
    for expected in [
        "lost records 0 before them, 0 while they were fetched",
        "watch events 9, 0 dropped",
        "transactions 3 started, 0 committed, 0 aborted (as xl does with those that only read), 3 conflicts",
        "d0 24 READ 8, WRITE 8, TRANSACTION_END 3, TRANSACTION_START 3, CONTROL 1, WATCH 1",
        "/a 3 d0 3 d0 3",
        "EINVAL READ 5 d0 5",
        "EAGAIN TRANSACTION_END 3 d0 3",
    ] {
        assert!(words.iter().any(|line| line.starts_with(expected)), "{expected}\n{report}");
    }
    assert!(words.iter().any(|line| line.starts_with("READ 8 5 ")), "{report}");
    assert!(words.iter().any(|line| line.ends_with(" d0 mark <here>")), "{report}");
    assert!(run(&["report", "--top", "1", text(&file)]).expect("a report").contains("and 1 more"));

    // What operators ask by CONTROL is none of the slowest, and filters are those of show.
    let slowest =
        report.split("Slowest requests").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
    assert!(slowest.contains("READ") && !slowest.contains("CONTROL "), "{slowest}");
    let reads = run(&["report", "--type", "READ", "--not-errno", "EINVAL", text(&file)]).expect("a report");
    assert!(reads.contains("requests               3, 0 of them failed"), "{reads}");
    assert!(reads.contains("Nothing of: transaction conflicts by node, errors"), "{reads}");

    let json = run(&["report", "--json", text(&file)]).expect("a report");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["facts"]["watch events"], "9, 0 dropped");
    let types = &json["tables"][1];
    assert_eq!((&types["title"], &types["rows"][0]["type"]), (&"Requests by type".into(), &"READ".into()));
    assert_eq!((&types["rows"][0]["requests"], &types["rows"][0]["failed"]), (&8.into(), &5.into()));

    let page = run(&["report", "--html", "-", text(&file)]).expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    // Each drawing for a screen and for a phone; each bar tells what it is.
    assert_eq!(page.matches("<svg").count(), 4);
    let bars = page.matches("<rect ").count();
    assert!(bars > 10 && page.matches("</title></rect>").count() == bars, "{bars} bars");
    // How long each of the eight takes decides in which bars they are.
    let counted = |title: &str| title.split_once(" request").and_then(|(count, _)| count.parse::<u64>().ok());
    let reads: u64 = page.split("<title>READ: ").skip(1).filter_map(counted).sum();
    assert!(reads > 0 && reads.is_multiple_of(8), "{reads} in all bars of both drawings");
    // Whatever a link leads to is there.
    let targets: Vec<&str> =
        page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(targets.contains(&"about-d0") && targets.contains(&"about-READ"), "{targets:?}");
    for target in targets {
        assert_eq!(page.matches(&format!(" id=\"{target}\"")).count(), 1, "{target}");
    }
    assert!(page.contains("<td class=\"number\" data-v=\"8\">8</td>"));
    assert!(page.contains("mark &lt;here&gt;") && !page.contains("<here>"));
    // Only the name of SVG itself is an address.
    assert_eq!(page.matches("://").count(), page.matches("http://www.w3.org/2000/svg").count());
    assert!(!page.contains("src=") && page.matches("<script>").count() == 1);
}

#[test]
fn a_server_that_nobody_has_asked_has_a_report() {
    let server = Server::start(64);
    let file = server.dump();
    let report = run(&["report", text(&file)]).expect("a report");
    assert!(report.contains("none yet") && report.contains("Nothing of: who asked for what"), "{report}");
    assert!(run(&["report", "--html", "-", text(&file)]).expect("a page").ends_with("</html>\n"));
}

#[test]
fn statistics_are_told_as_text_and_as_json() {
    let server = Server::start(64);
    let mut client = server.connect();
    client.write(0, "/local/domain/0/name");
    client.ask(MessageType::Read, 0, "/missing\0");
    let socket = server.socket();
    let told = run(&["stats", "--store", text(&socket)]).expect("statistics");
    let words = words(&told);
    assert!(words.contains(&"trace-on 1".to_owned()), "{told}");
    assert!(words.contains(&"type requests failed received sent cycles".to_owned()), "{told}");
    assert!(words.iter().any(|line| line.starts_with("0 value ")), "{told}");
    let json = run(&["stats", "--json", "--store", text(&socket)]).expect("statistics");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["types"]["WRITE"]["requests"], 1);
    assert_eq!((&json["domains"][0]["name"], &json["domains"][0]["domid"]), (&"value".into(), &0.into()));
    assert_eq!((&json["refused"], &json["trace-on"]), (&serde_json::json!([]), &1.into()));
    assert!(json["memory"]["nodes"]["room"].as_u64() > Some(1000), "{json}");
}
