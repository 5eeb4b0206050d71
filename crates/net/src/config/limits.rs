//! The section `limits`: what a connection or a request may be, before anything is known of who
//! sends it.

use std::time::Duration;

use schemars::JsonSchema;
use seawall_config::{NumberRange, RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// Limits of connections and requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most connections at once; one more is closed as soon as it is accepted.
    pub connections: u32,

    /// The most connections of one address (for IPv6, of one /64 network). Trusted proxies are
    /// exempt.
    pub connections_per_address: u32,

    /// The most bytes of a request's line and headers.
    pub header_bytes: u32,

    /// The most headers of a request.
    pub headers: u32,

    /// How many seconds a client may take for the headers of a request, and an idle connection for
    /// its next one.
    pub header_timeout_seconds: u32,

    /// After how many seconds without a byte of its body a request is given up, and a response that
    /// its client does not take.
    pub body_idle_timeout_seconds: u32,

    /// How many bytes a second of its body a client must send on average, over every
    /// `body_idle_timeout_seconds` of waiting for it; the request is given up otherwise. Time in
    /// which the server itself is busy does not count. 0: no such limit.
    pub body_min_rate_bytes_per_second: u32,

    /// How many seconds a client may take for the TLS handshake.
    pub handshake_timeout_seconds: u32,

    /// The most requests at once on one HTTP/2 connection.
    pub http2_streams: u32,

    /// How much memory, in MiB, all HTTP/2 connections may come to hold for bodies that are under
    /// way. Each gets a part of what is left when it comes, for its windows and requests at once,
    /// but never less than 1 MiB.
    pub http2_memory_mebibytes: u32,

    /// How many HTTP/2 frames a second that carry nothing (resets, pings, settings, window updates
    /// beyond what its answers call for) a connection may send; ten times as many at once. One that
    /// sends more is closed.
    pub http2_control_frames_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1_000,
            header_bytes: 65_536,
            headers: 100,
            header_timeout_seconds: 60,
            body_idle_timeout_seconds: 60,
            body_min_rate_bytes_per_second: 1_024,
            handshake_timeout_seconds: 10,
            http2_streams: 128,
            http2_memory_mebibytes: 2_048,
            http2_control_frames_per_second: 100,
        }
    }
}

impl Limits {
    /// The time for the headers of a request.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds.into())
    }

    /// The time that a body may stand still.
    pub fn body_idle_timeout(&self) -> Duration {
        Duration::from_secs(self.body_idle_timeout_seconds.into())
    }

    /// The memory that all HTTP/2 connections share, in bytes.
    pub fn http2_memory_bytes(&self) -> u64 {
        u64::from(self.http2_memory_mebibytes) << 20
    }

    /// The time for a TLS handshake.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds.into())
    }
}

impl Section for Limits {
    fn validate(&self) -> Vec<RuleViolation> {
        RuleViolation::ranges(&[
            NumberRange::new("connections", self.connections, 1, 1_000_000),
            NumberRange::new(
                "connections_per_address",
                self.connections_per_address,
                1,
                1_000_000,
            ),
            // hyper refuses to work with a smaller buffer than 8 KiB.
            NumberRange::new("header_bytes", self.header_bytes, 8_192, 1_048_576),
            NumberRange::new("headers", self.headers, 16, 1_024),
            NumberRange::new(
                "header_timeout_seconds",
                self.header_timeout_seconds,
                1,
                3_600,
            ),
            NumberRange::new(
                "body_idle_timeout_seconds",
                self.body_idle_timeout_seconds,
                1,
                3_600,
            ),
            NumberRange::new(
                "body_min_rate_bytes_per_second",
                self.body_min_rate_bytes_per_second,
                0,
                1_000_000_000,
            ),
            NumberRange::new(
                "handshake_timeout_seconds",
                self.handshake_timeout_seconds,
                1,
                600,
            ),
            NumberRange::new("http2_streams", self.http2_streams, 1, 10_000),
            NumberRange::new(
                "http2_memory_mebibytes",
                self.http2_memory_mebibytes,
                1,
                1_048_576,
            ),
            NumberRange::new(
                "http2_control_frames_per_second",
                self.http2_control_frames_per_second,
                10,
                1_000_000,
            ),
        ])
    }
}
