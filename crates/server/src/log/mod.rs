//! The log: what is written, its format, and a writer that never holds up a request.
//!
//! Lines are readable on a terminal and JSON elsewhere. The one line per request has the target
//! `request` and a short way of its own. Nothing here can tell a secret from another text: what
//! must not be seen never gets into a field, since [`seawall_types::Secret`] does not show itself.

mod access_log;
mod format;
mod writer;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use seawall_kernel::http::AccessLog;
use seawall_types::Clock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

pub use writer::LogWriter;

/// The log of the process. When it is dropped, what is left is written.
pub struct Logging {
    /// What writes the access log; nothing if the level says so.
    pub requests: Option<Arc<dyn AccessLog>>,
    _writer: LogWriter,
}

/// Sets up the log of the process.
pub fn install(config: &LogConfig, clock: Arc<dyn Clock>) -> io::Result<Logging> {
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let (queue, writer) = writer::start(io::stderr(), json)?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(queue.clone())
        .with_ansi(terminal && !json)
        .event_format(format::Lines::new(json, Arc::clone(&clock)));
    let filter = config.filter().map_err(io::Error::other)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(io::Error::other)?;
    let wanted = tracing::enabled!(target: "request", tracing::Level::INFO);
    let requests = access_log::AccessLogWriter { queue, clock, json };
    Ok(Logging {
        requests: wanted.then(|| Arc::new(requests) as Arc<dyn AccessLog>),
        _writer: writer,
    })
}
