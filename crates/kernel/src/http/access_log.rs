//! The request log: one entry for each request, handed to the writer.
//!
//! It has a way of its own, past `tracing`, because it is written on the hot path. A line never
//! holds credentials, a query, or header values other than the agent.

use std::net::IpAddr;

/// What the log says of a request, once its body is out.
#[derive(Debug, Clone, Copy)]
pub struct AccessLogEntry<'a> {
    /// The request's id.
    pub id: &'a str,
    /// The lane that it ran in.
    pub lane: &'static str,
    /// Who asked, by name.
    pub actor: &'a str,
    /// From where.
    pub address: Option<IpAddr>,
    /// The feature that brings the route.
    pub feature: &'static str,
    /// The route's name.
    pub route: &'static str,
    /// The method.
    pub method: &'a str,
    /// The path, cut to 512 bytes.
    pub path: &'a str,
    /// The status; 499 if the client went away before there was an answer.
    pub status: u16,
    /// Whether all of the body went out.
    pub whole: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Milliseconds until the answer began.
    pub first_byte_ms: u64,
    /// Milliseconds until all was out.
    pub took_ms: u64,
    /// Milliseconds with a database connection.
    pub db_ms: u64,
    /// SQL statements that only read.
    pub reads: u64,
    /// SQL statements that write.
    pub writes: u64,
    /// What the client calls itself.
    pub agent: &'a str,
}

/// Who writes the request log. It must never wait.
pub trait AccessLog: Send + Sync + 'static {
    /// Writes one line.
    fn note(&self, line: &AccessLogEntry<'_>);
}
