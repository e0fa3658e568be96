//! How each peer is started.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::peer::Peer;
use crate::standin::{Program, Standin};
use crate::step::Quota;

/// Watch events wait this many seconds for a client that does not read. Long, because the daemon's clock
/// runs ahead when it skips sleeps, and because sessions say themselves when time passes.
const EVENT_TIMEOUT: &str = "watch-event=36000";

/// Its log files must be somewhere, and without the last two it never serves dom0's ring.
const OCAML_SETTINGS: &str = "\
xenstored-log-file = {dir}/log
access-log-file = {dir}/access-log
persistent = false
xenstored-kva = /proc/xen/xsd_kva
xenstored-port = /proc/xen/xsd_port
";

/// The two implementations that Xen comes with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    C,
    Ocaml,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::C => "xenstored",
            Kind::Ocaml => "oxenstored",
        }
    }
}

/// Releases of Xen between which the C daemon's answers have changed, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Release {
    Xen4_17,
    /// And 4.18, and 4.19.
    Xen4_20,
    Xen4_21,
    /// And later.
    Xen4_22,
}

/// A daemon that can be started as often as it is needed.
pub struct Daemon {
    command: Vec<PathBuf>,
    libraries: Option<PathBuf>,
    standin: PathBuf,
    kind: Kind,
    pub release: Release,
    is_wrapped: bool,
}

impl Daemon {
    /// One out of Debian's packages, unpacked under `root`. `wrap` is what it is to be started under, as the words of a
    /// command; with none, it is started itself.
    pub fn find(kind: Kind, root: &Path, standin: &Path, wrap: Vec<PathBuf>) -> io::Result<Daemon> {
        let lib = root.join("usr/lib");
        let mut found = std::fs::read_dir(&lib)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(|n| n.starts_with("xen-4.")))
            .map(|path| path.join("bin"));
        let directory = found
            .find(|path| path.join(kind.name()).exists())
            .ok_or_else(|| io::Error::other(format!("no {} under {}", kind.name(), lib.display())))?;
        let old = directory.ends_with("xen-4.17/bin");
        let release = if old { Release::Xen4_17 } else { Release::Xen4_20 };
        // The packages' own loader and C library: the daemon may be of another release than this machine.
        let is_wrapped = !wrap.is_empty();
        let mut command = wrap;
        command.extend([
            root.join("lib64/ld-linux-x86-64.so.2"),
            PathBuf::from("--library-path"),
            root.join("usr/lib/x86_64-linux-gnu"),
            directory.join(kind.name()),
        ]);
        Ok(Daemon { command, libraries: None, standin: standin.to_path_buf(), kind, release, is_wrapped })
    }

    /// The C daemon of a new release at this place. Its libraries are in the folder `lib` beside it or in the system.
    pub fn at(file: &Path, standin: &Path) -> io::Result<Daemon> {
        let file = file.canonicalize()?;
        Ok(Daemon {
            libraries: file.parent().map(|folder| folder.join("lib")).filter(|folder| folder.is_dir()),
            command: vec![file],
            standin: standin.to_path_buf(),
            kind: Kind::C,
            release: Release::Xen4_22,
            is_wrapped: false,
        })
    }

    /// The daemon, running, with an empty store.
    pub fn start(&self, quotas: &[Quota]) -> io::Result<Box<dyn Peer>> {
        let fixed: &[&str] = match self.kind {
            Kind::C => &["--no-fork", "--timeout", EVENT_TIMEOUT],
            Kind::Ocaml => &[
                "--no-fork",
                "--disable-socket",
                "--config-file",
                "{dir}/settings",
                "--pid-file",
                "{dir}/pid",
            ],
        };
        let mut arguments: Vec<String> = fixed.iter().map(ToString::to_string).collect();
        if self.kind == Kind::C {
            arguments.extend(self.limits(quotas));
        }
        let settings = (self.kind == Kind::Ocaml).then_some(OCAML_SETTINGS);
        let program = Program {
            command: self.command.clone(),
            preload: self.standin.clone(),
            arguments,
            libraries: self.libraries.clone(),
            settings,
            updates: self.kind == Kind::C,
            is_wrapped: self.is_wrapped,
        };
        Ok(Box::new(Standin::start(&program)?))
    }
}

impl Daemon {
    /// Options for the quotas, the defaults of those among them that the daemon reads in another way.
    fn limits(&self, quotas: &[Quota]) -> Vec<String> {
        let of = |name: &str, value: u32| Quota { name: name.to_string(), value };
        let mut all = vec![of("watches", 128), of("transactions", 10), of("node-size", 2048)];
        if self.release == Release::Xen4_22 {
            all.extend([of("nodes", 1000), of("transaction-nodes", 1024), of("node-permissions", 5)]);
        }
        all.retain(|default| quotas.iter().all(|quota| quota.name != default.name));
        all.extend_from_slice(quotas);
        all.iter().flat_map(|quota| self.limit(quota)).collect()
    }

    /// What makes the daemon accept just as much as the quota says.
    fn limit(&self, Quota { name, value }: &Quota) -> [String; 2] {
        let value = match (self.release, name.as_str()) {
            // These refuse what reaches a quota, but for those that bound what a domain has in flight. 0 is none.
            (Release::Xen4_22, "outstanding" | "memory") => *value,
            (Release::Xen4_22, _) => value + u32::from(*value > 0),
            // One more than they say is what these let pass.
            (_, "watches" | "transactions") => value.saturating_sub(1),
            // 4.17 counts a larger header, and refuses what just fits.
            (Release::Xen4_17, "node-size") => value + 9,
            _ => *value,
        };
        match name.as_str() {
            "nodes" => ["--entry-nb".to_string(), value.to_string()],
            "watches" => ["--watch-nb".to_string(), value.to_string()],
            "transactions" => ["--transaction".to_string(), value.to_string()],
            "node-permissions" => ["--perm-nb".to_string(), value.to_string()],
            "node-size" => ["--entry-size".to_string(), value.to_string()],
            "path-max" => ["--path-max".to_string(), value.to_string()],
            name => ["--quota".to_string(), format!("{name}={value}")],
        }
    }
}
