//! Works on layers, the files that a store begins with (docs/layers.md): `xs-layers pack`, `check`, `fuse`, `diff`, `split`.

mod arguments;
mod files;
mod store;
mod tree;

use std::collections::BTreeSet;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::{Arguments, CheckOptions, DiffOptions, PackOptions, SplitOptions, Task};
use files::{Pack, sections, shown};
use store_client::{Call, ORDINARY, plural, tell};
use tree::{Tree, difference};

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

fn main() -> ExitCode {
    let done = match store_client::call() {
        Call::Task(arguments) => run(&arguments),
        Call::Told(text) => put(None, text.as_bytes()),
        Call::Mistake(line) => Err(Problem::Other(line)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem::Layers(text)) => {
            tell(text.trim_end());
            ExitCode::from(1)
        }
        Err(Problem::Other(text)) => {
            // Names of files can have anything in them.
            tell(format_args!("xs-layers: {}", store_client::Problem::new(text)));
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    let domains = arguments.domains.iter().copied().collect();
    match &arguments.task {
        Task::Pack(options) => pack(options, &domains),
        Task::Check(options) => check(options, &domains),
        Task::Fuse(options) => {
            let tree = Tree::fused(&Pack::of(&options.files)?, &domains)?;
            put(None, tree.listing().as_bytes())
        }
        Task::Diff(options) => diff(options, &domains),
        Task::Split(options) => split(options, &domains),
    }
}

fn pack(options: &PackOptions, domains: &BTreeSet<u16>) -> Result<(), Problem> {
    let pack = Pack::of(&options.files)?;
    let tree = Tree::fused(&pack, domains)?;
    let layers = sections(&pack.text).len();
    let (bytes, nodes) = (pack.text.len(), tree.nodes().count());
    let (layers, nodes) = (plural(layers as u64, "layer"), plural(nodes as u64, "node"));
    tell(format_args!("{layers}, {bytes} bytes; {nodes} fused"));
    put(options.output.as_deref(), &pack.text)
}

/// Nothing is written unless all can be, and nothing is replaced.
fn split(options: &SplitOptions, domains: &BTreeSet<u16>) -> Result<(), Problem> {
    let from = &options.file;
    let pack = Pack::as_it_is(from)?;
    Tree::fused(&pack, domains)?;
    let name = shown(from);
    let sections = sections(&pack.text);
    if sections.is_empty() {
        return Err(format!("{name}: no layer is in it").into());
    }
    let directory = options.directory.clone().unwrap_or_default();
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (layer, text) in sections {
        let file = directory.join(format!("{layer}.layer"));
        if file.symlink_metadata().is_ok() {
            return Err(format!("{}: it exists; -d names another directory", shown(&file)).into());
        }
        if files.iter().any(|(other, _)| *other == file) {
            return Err(format!("{name}: two layers are called {layer}").into());
        }
        files.push((file, [&text, &b"end\n"[..]].concat()));
    }
    store_client::create(&files)?;
    let names: String = files.iter().map(|(file, _)| format!("{}\n", shown(file))).collect();
    put(None, names.as_bytes())
}

/// Each file by itself, so that lines are those of the file.
fn check(options: &CheckOptions, domains: &BTreeSet<u16>) -> Result<(), Problem> {
    let mut wrong = String::new();
    for file in &options.files {
        let pack = Pack::as_it_is(file)?;
        let fused = match options.memory {
            Some(mib) => Tree::fused_in_memory(mib, &pack, domains),
            None => Tree::fused(&pack, domains),
        };
        match fused {
            Ok(tree) => {
                let layers = sections(&pack.text).len();
                let (layers, nodes) =
                    (plural(layers as u64, "layer"), plural(tree.nodes().count() as u64, "node"));
                put(None, format!("{}: {layers}, {nodes}\n", shown(file)).as_bytes())?;
            }
            Err(Problem::Layers(text)) => wrong += &text,
            Err(other) => return Err(other),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Problem::Layers(wrong)) }
}

fn diff(options: &DiffOptions, domains: &BTreeSet<u16>) -> Result<(), Problem> {
    let (now, low) = (&options.now, options.files.as_slice());
    let is_store = |kind: FileType| kind.is_socket() || kind.is_char_device();
    let running =
        now != Path::new("-") && std::fs::metadata(now).is_ok_and(|meta| is_store(meta.file_type()));
    let changes = if running { store::changes(now, options.timeout)? } else { None };
    if let (Some(text), []) = (&changes, low) {
        return put(None, text);
    }
    if low.is_empty() {
        let what = if running { "the store does not know what it began with" } else { "that is no store" };
        return Err(format!("{}: {what}: files are wanted to compare it with", shown(now)).into());
    }
    let fused = |pack: &Pack| Tree::fused(pack, domains);
    let pack = Pack::of(low)?;
    let low = fused(&pack)?;
    let text = match changes {
        Some(changes) => difference(&low, &fused(&pack.with(&changes, now))?, false),
        None if running => difference(&low, &store::tree(now, options.timeout)?, true),
        None => difference(&low, &fused(&Pack::of(std::slice::from_ref(now))?)?, false),
    };
    put(None, text.as_bytes())
}

/// To the standard output, or to a file.
fn put(file: Option<&Path>, bytes: &[u8]) -> Result<(), Problem> {
    Ok(store_client::write(file.unwrap_or(Path::new("-")), bytes, ORDINARY)?)
}
