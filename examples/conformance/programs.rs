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

/// A daemon out of Debian's packages, unpacked under `root`.
pub struct Daemon {
    root: PathBuf,
    directory: PathBuf,
    standin: PathBuf,
    kind: Kind,
    wrap: Vec<PathBuf>,
}

impl Daemon {
    /// `wrap` is what it is to be started under, as the words of a command; with none, it is started itself.
    pub fn find(kind: Kind, root: &Path, standin: &Path, wrap: Vec<PathBuf>) -> io::Result<Daemon> {
        let lib = root.join("usr/lib");
        let mut found = std::fs::read_dir(&lib)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(|n| n.starts_with("xen-4.")))
            .map(|path| path.join("bin"));
        let directory = found
            .find(|path| path.join(kind.name()).exists())
            .ok_or_else(|| io::Error::other(format!("no {} under {}", kind.name(), lib.display())))?;
        let (root, standin) = (root.to_path_buf(), standin.to_path_buf());
        Ok(Daemon { root, directory, standin, kind, wrap })
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
        // The packages' own loader and C library: the daemon may be of another release than this machine.
        let mut command = self.wrap.clone();
        command.extend([
            self.root.join("lib64/ld-linux-x86-64.so.2"),
            PathBuf::from("--library-path"),
            self.root.join("usr/lib/x86_64-linux-gnu"),
            self.directory.join(self.kind.name()),
        ]);
        let settings = (self.kind == Kind::Ocaml).then_some(OCAML_SETTINGS);
        let program = Program { command, preload: self.standin.clone(), arguments, settings };
        Ok(Box::new(Standin::start(&program)?))
    }
}

impl Daemon {
    /// Options for the quotas, the defaults of those among them that the daemon reads in another way.
    fn limits(&self, quotas: &[Quota]) -> Vec<String> {
        let of = |name: &str, value: u32| Quota { name: name.to_string(), value };
        let mut all = vec![of("watches", 128), of("transactions", 10), of("node-size", 2048)];
        all.retain(|default| quotas.iter().all(|quota| quota.name != default.name));
        all.extend_from_slice(quotas);
        all.iter().flat_map(|quota| self.limit(quota)).collect()
    }

    /// What makes the daemon accept just as much as the quota says.
    fn limit(&self, Quota { name, value }: &Quota) -> [String; 2] {
        // One more than they say is what these let pass.
        let less = value.saturating_sub(1).to_string();
        // 4.17 counts a larger header, and refuses what just fits.
        let larger = if self.directory.ends_with("xen-4.17/bin") { value + 9 } else { *value };
        match name.as_str() {
            "nodes" => ["--entry-nb".to_string(), value.to_string()],
            "watches" => ["--watch-nb".to_string(), less],
            "transactions" => ["--transaction".to_string(), less],
            "node-permissions" => ["--perm-nb".to_string(), value.to_string()],
            "node-size" => ["--entry-size".to_string(), larger.to_string()],
            "path-max" => ["--path-max".to_string(), value.to_string()],
            name => ["--quota".to_string(), format!("{name}={value}")],
        }
    }
}
