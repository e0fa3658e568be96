//! Works on layers, the files that a store begins with (docs/layers.md): `xs-layers pack`, `check`, `fuse`, `diff`, `split`.

mod files;
mod store;
mod tree;

use std::collections::BTreeSet;
use std::fs::FileType;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use files::{Pack, sections, shown};
use tree::{MOST_MEMORY, Tree, difference};

const HELP: &str = "\
usage: xs-layers pack [-o MODULE] FILE...     one file of several, the lowest first, for the store's boot module
       xs-layers check FILE...                says what is in a file, or what is wrong, with line and column
       xs-layers fuse FILE...                 the store that comes of them, as `xenstore-ls -f -p` shows it
       xs-layers diff STORE [FILE...]         a layer that makes what a running store is of what it began with
       xs-layers diff FILE FILE...            a layer that makes the first of the store that comes of the others
       xs-layers split [-d DIRECTORY] FILE    a file NAME.layer of each layer
  --memory MIB      for `check`: in a store with this much memory, 8 to 2048 (default: in one that is large enough)
  --domains N,...   domains besides dom0 that permissions may name
  --version         say which version this is
FILE has layers as text, or as the state stream's records (docs/state.md); `-` is the standard input. STORE is the socket or
device of a running store; of it, `diff` leaves out what toolstacks make anew at each start, and with FILEs what these say.
Of another server than xenstore-stubdom it wants FILEs: that does not know what it began with.
Status: 1 if a layer is wrong, 2 for a mistake in the call or a file that cannot be read.
";

/// Domains that there can be beside dom0.
const GUESTS: RangeInclusive<u16> = 1..=32751;

/// What goes wrong: with the layers, or else.
enum Problem {
    Layers(String),
    Other(String),
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem::Other(text)
    }
}

#[derive(Default)]
struct Call {
    task: String,
    words: Vec<PathBuf>,
    output: Option<PathBuf>,
    directory: PathBuf,
    domains: BTreeSet<u16>,
    memory: Option<usize>,
}

fn main() -> ExitCode {
    let call = match parse(lexopt::Parser::from_env()) {
        Ok(call) => call,
        Err(error) => {
            eprintln!("xs-layers: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    match call.map_or_else(|| put(None, HELP.as_bytes()), |call| run(&call)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem::Layers(text)) => {
            eprint!("{text}");
            ExitCode::from(1)
        }
        Err(Problem::Other(text)) => {
            eprintln!("xs-layers: {text}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: lexopt::Parser) -> Result<Option<Call>, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let (mut words, mut output, mut directory, mut domains) = (Vec::new(), None, None, BTreeSet::new());
    let mut memory = None;
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(None),
            Long("version") => {
                return Ok(Some(Call { task: "version".into(), ..Call::default() }));
            }
            Short('o') => output = Some(PathBuf::from(args.value()?)),
            Short('d') => directory = Some(PathBuf::from(args.value()?)),
            Long("memory") => {
                let text = args.value()?.string()?;
                let mib = text.parse().ok().filter(|mib| (8..=MOST_MEMORY).contains(mib));
                memory = Some(mib.ok_or_else(|| format!("--memory wants MiB from 8 to 2048, not '{text}'"))?);
            }
            Long("domains") => {
                let list = args.value()?.string()?;
                let number = |word: &str| word.parse().ok().filter(|domid| GUESTS.contains(domid));
                let numbers: Option<BTreeSet<u16>> = list.split(',').map(number).collect();
                domains = numbers.ok_or_else(|| {
                    format!("--domains wants numbers from 1 to 32751 with ',' between, not '{list}'")
                })?;
            }
            Value(word) => words.push(PathBuf::from(word)),
            other => return Err(other.unexpected()),
        }
    }
    let task = words.first().map(|word| word.display().to_string()).unwrap_or_default();
    let files = words.len().saturating_sub(1);
    let fits = match task.as_str() {
        "pack" => files > 0 && directory.is_none(),
        "check" | "fuse" => files > 0 && directory.is_none() && output.is_none(),
        "diff" => files > 0 && directory.is_none() && output.is_none(),
        "split" => files == 1 && output.is_none(),
        _ => false,
    };
    if memory.is_some() && task != "check" {
        return Err("--memory is for `check`".into());
    }
    if !fits {
        return Err("`pack`, `check`, `fuse`, `diff` or `split` is wanted, with its files".into());
    }
    words.remove(0);
    Ok(Some(Call { task, words, output, directory: directory.unwrap_or_default(), domains, memory }))
}

fn run(call: &Call) -> Result<(), Problem> {
    match call.task.as_str() {
        "version" => put(None, concat!("xs-layers ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()),
        "check" => check(call),
        "pack" => {
            let pack = Pack::of(&call.words)?;
            let tree = Tree::fused(&pack, &call.domains).map_err(Problem::Layers)?;
            let layers = sections(&pack.text).len();
            let (bytes, nodes) = (pack.text.len(), tree.nodes().count());
            eprintln!("{}, {bytes} bytes; {} fused", plural(layers, "layer"), plural(nodes, "node"));
            put(call.output.as_deref(), &pack.text)
        }
        "fuse" => {
            let tree = Tree::fused(&Pack::of(&call.words)?, &call.domains).map_err(Problem::Layers)?;
            put(None, tree.listing().as_bytes())
        }
        "diff" => diff(call),
        _ => split(call),
    }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Nothing is written unless all can be, and nothing is replaced.
fn split(call: &Call) -> Result<(), Problem> {
    let Some(from) = call.words.first() else { return Ok(()) };
    let pack = Pack::as_it_is(from)?;
    Tree::fused(&pack, &call.domains).map_err(Problem::Layers)?;
    let name = shown(from);
    let sections = sections(&pack.text);
    if sections.is_empty() {
        return Err(format!("{name}: no layer is in it").into());
    }
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (layer, text) in sections {
        let file = call.directory.join(format!("{layer}.layer"));
        if file.exists() {
            return Err(format!("{}: it exists; -d names another directory", shown(&file)).into());
        }
        if files.iter().any(|(other, _)| *other == file) {
            return Err(format!("{name}: two layers are called {layer}").into());
        }
        files.push((file, text));
    }
    for (file, text) in files {
        put(Some(&file), &[&text, &b"end\n"[..]].concat())?;
        put(None, format!("{}\n", shown(&file)).as_bytes())?;
    }
    Ok(())
}

/// Each file by itself, so that lines are those of the file.
fn check(call: &Call) -> Result<(), Problem> {
    let mut wrong = String::new();
    for file in &call.words {
        let pack = Pack::as_it_is(file)?;
        let fused = match call.memory {
            Some(mib) => Tree::fused_in_memory(mib, &pack, &call.domains),
            None => Tree::fused(&pack, &call.domains),
        };
        match fused {
            Ok(tree) => {
                let layers = sections(&pack.text).len();
                let (layers, nodes) = (plural(layers, "layer"), plural(tree.nodes().count(), "node"));
                put(None, format!("{}: {layers}, {nodes}\n", shown(file)).as_bytes())?;
            }
            Err(text) => wrong += &text,
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Problem::Layers(wrong)) }
}

fn diff(call: &Call) -> Result<(), Problem> {
    let Some((now, low)) = call.words.split_first() else { return Ok(()) };
    let is_store = |kind: FileType| kind.is_socket() || kind.is_char_device();
    let running =
        now != Path::new("-") && std::fs::metadata(now).is_ok_and(|meta| is_store(meta.file_type()));
    let changes = if running { store::changes(now)? } else { None };
    if let (Some(text), []) = (&changes, low) {
        return put(None, text);
    }
    if low.is_empty() {
        let what = if running { "the store does not know what it began with" } else { "that is no store" };
        return Err(format!("{}: {what}: files are wanted to compare it with", shown(now)).into());
    }
    let fused = |pack: &Pack| Tree::fused(pack, &call.domains).map_err(Problem::Layers);
    let pack = Pack::of(low)?;
    let low = fused(&pack)?;
    let text = match changes {
        Some(changes) => difference(&low, &fused(&pack.with(&changes, now))?, false),
        None if running => difference(&low, &store::tree(now)?, true),
        None => difference(&low, &fused(&Pack::of(std::slice::from_ref(now))?)?, false),
    };
    put(None, text.as_bytes())
}

fn put(file: Option<&Path>, bytes: &[u8]) -> Result<(), Problem> {
    let written = match file {
        Some(file) => std::fs::write(file, bytes).map_err(|error| format!("{}: {error}", shown(file))),
        // Whoever reads may have seen enough.
        None => match io::stdout().write_all(bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
            _ => Ok(()),
        },
    };
    Ok(written?)
}
