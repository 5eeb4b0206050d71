//! The log: what is written, how a line looks, and a writer that never holds up a request.
//!
//! Lines are readable on a terminal and JSON elsewhere. The one line per request has the target `request`; its fields are
//! written first and in the order in which the kernel gives them. Nothing here can tell a secret from another text: what must not be
//! seen never gets into a field, since [`seawall_types::Secret`] does not show itself.

mod format;
mod writer;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use seawall_types::Clock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

pub use writer::LogWriter;

/// Sets up the log of the process. The writer that is returned writes what is left when it is dropped.
pub fn install(config: &Log, clock: Arc<dyn Clock>) -> io::Result<LogWriter> {
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let (lines, writer) = writer::start(io::stderr(), json)?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines)
        .with_ansi(terminal && !json)
        .event_format(format::Lines::new(json, clock));
    let filter = config.filter().map_err(io::Error::other)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(io::Error::other)?;
    Ok(writer)
}
