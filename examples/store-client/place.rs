//! Where a running store is and how long it may take, as options of a tool.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::problem::Problem;
use crate::store::Store;

/// Which store, and how long it may take.
#[derive(Args, Clone)]
pub struct Place {
    /// The store's socket or device: by default what XENSTORED_PATH says, else /dev/xen/xenbus, else /run/xenstored/socket
    #[arg(long = "store", value_name = "PLACE")]
    pub place: Option<PathBuf>,
    /// Seconds within which the store has to answer, 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
}

impl Place {
    pub fn open(&self) -> Result<Store, Problem> {
        Store::open(self.place.as_deref(), Some(self.timeout))
    }
}

/// A time that something may take.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| "0.1 to 3600 seconds are possible".to_string())?;
    Ok(Duration::from_secs_f64(seconds))
}
