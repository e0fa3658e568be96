//! Reads sessions from text: the fixed cases, and what a failed run printed.
//!
//! A line that starts with `#` begins a new session; one that starts with `##` is a comment. `x9 LINE` is
//! nine lines, with `{i}` in them counting up. `! guest 5` builds domain 5 with a home of its own.

use conformance::message::{self, unspell};
use conformance::page::Word;
use conformance::step::{Life, Quota, Request, Session, Step, Tx};

/// All sessions of a text.
pub fn sessions(text: &str) -> Result<Vec<Session>, String> {
    let mut sessions: Vec<Session> = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with("##") {
            continue;
        }
        if let Some(name) = line.strip_prefix('#') {
            sessions.push(Session { name: name.trim().to_string(), ..Session::default() });
            continue;
        }
        let session = sessions.last_mut().ok_or("the first line must be \"# name\"")?;
        add(session, line).map_err(|problem| format!("line {number}: {problem}"))?;
    }
    Ok(sessions)
}

fn add(session: &mut Session, line: &str) -> Result<(), String> {
    let (times, line) = match line.strip_prefix('x').and_then(|rest| rest.split_once(' ')) {
        Some((digits, rest)) if digits.parse::<usize>().is_ok() => (digits.parse().unwrap_or(1), rest),
        _ => (1, line),
    };
    for index in 0..times {
        let Some(command) = line.strip_prefix('!') else {
            session.steps.push(requests(line, index)?);
            continue;
        };
        let (word, rest) = split(command.trim());
        match word {
            "quota" => {
                let (name, value) = split(rest);
                session.quotas.push(Quota { name: name.to_string(), value: number(value)? });
            }
            "lists-changes" => session.lists_changes = true,
            "guest" => session.steps.extend(guest(number(rest)?)),
            _ => session.steps.push(special(word, rest, index)?),
        }
    }
    Ok(())
}

/// Domain with a home that it owns, as a toolstack sets it up.
pub fn guest(domid: u16) -> [Step; 3] {
    let dom0 = |kind, payload: String| Request::new(kind, payload.into_bytes());
    [
        Step::Domain(domid, Life::Built),
        Step::Requests(
            0,
            vec![
                dom0(message::WRITE, format!("/local/domain/{domid}\0")),
                dom0(message::SET_PERMS, format!("/local/domain/{domid}\0n{domid}\0")),
            ],
        ),
        Step::Requests(0, vec![dom0(message::INTRODUCE, format!("{domid}\x001\x001\0"))]),
    ]
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("not a number: \"{text}\""))
}

fn look_up<T: Copy>(table: &[(&str, T)], name: &str) -> Result<T, String> {
    table
        .iter()
        .find(|row| row.0 == name.trim())
        .map(|row| row.1)
        .ok_or_else(|| format!("unknown: \"{name}\""))
}

fn special(word: &str, rest: &str, index: usize) -> Result<Step, String> {
    if word == "virq" || word == "store" {
        return Ok(if word == "virq" { Step::Virq } else { Step::Store });
    }
    if word == "update" {
        let has = |what| rest.split(' ').any(|word| word == what);
        return Ok(Step::Update { take: has("take"), give: has("give") });
    }
    if word == "wait" {
        return Ok(Step::Wait(number(rest)?));
    }
    let (who, rest) = split(rest);
    let who: u16 = number(who)?;
    Ok(match word {
        "domain" => Step::Domain(who, look_up(&Life::ALL, rest)?),
        "quietly" => Step::Quietly(who, look_up(&Life::ALL, rest)?),
        "kick" => Step::Kick(who),
        "wipe" => Step::Wipe(who),
        "reading" => Step::Reading(who, look_up(&[("on", true), ("off", false)], rest)?),
        "poke" => {
            let (name, value) = split(rest);
            Step::Poke(who, look_up(&Word::ALL, name)?, number(value)?)
        }
        "peek" => Step::Peek(who, look_up(&Word::ALL, rest)?),
        "generation" => Step::Generation(who, unspell(rest, index)?),
        "list" => Step::List(who, unspell(rest, index)?),
        "bytes" => Step::Bytes(who, unspell(rest, index)?),
        "pieces" => {
            let (size, rest) = split(rest);
            Step::Pieces(who, number(size)?, request(rest, index)?)
        }
        "fill" => {
            let (most, template) = split(rest);
            request(template, 0)?;
            Step::Fill(who, number(most)?, template.to_string())
        }
        _ => return Err(format!("unknown command: \"{word}\"")),
    })
}

fn requests(line: &str, index: usize) -> Result<Step, String> {
    let (who, rest) = split(line);
    let requests: Result<_, _> = rest.split(" ; ").map(|text| request(text, index)).collect();
    Ok(Step::Requests(number(who)?, requests?))
}

/// One request: `[t1 |tx=9 ]NAME payload[ -> t1][ => answer]`.
pub fn request(text: &str, index: usize) -> Result<Request, String> {
    let (text, expect) = match text.split_once(" => ") {
        Some((text, expect)) => (text, Some(expect.trim().to_string())),
        None => (text, None),
    };
    let (text, opens) = match text.split_once(" -> t") {
        Some((text, slot)) => (text, Some(number(slot)?)),
        None => (text, None),
    };
    let (first, rest) = split(text.trim());
    let (tx, first, rest) = if let Some(digits) = first.strip_prefix("tx=") {
        let (name, rest) = split(rest);
        (Tx::Number(number(digits)?), name, rest)
    } else if let Some(digits) = first.strip_prefix('t') {
        let (name, rest) = split(rest);
        (Tx::Slot(number(digits)?), name, rest)
    } else {
        (Tx::None, first, rest)
    };
    let kind = message::number(first).ok_or_else(|| format!("unknown message: \"{first}\""))?;
    Ok(Request { kind, tx, payload: unspell(rest, index)?, opens, expect })
}
