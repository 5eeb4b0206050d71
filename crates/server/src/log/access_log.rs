//! The access log's writer, formatted by hand: an entry costs a fraction of what an event through
//! `tracing` does.
//!
//! It looks like any other line of the log, with the target `request`, and goes the same way.

use std::fmt::{self, Write};
use std::sync::Arc;

use seawall_kernel::http::{AccessLog, AccessLogEntry};
use seawall_types::Clock;

use super::format::{is_plain, printable, quote};
use super::writer::LineQueue;

/// What a line takes, mostly.
const TYPICAL: usize = 512;

/// Writes the request log.
pub(super) struct AccessLogWriter {
    pub(super) queue: LineQueue,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) json: bool,
}

impl AccessLog for AccessLogWriter {
    fn note(&self, line: &AccessLogEntry<'_>) {
        let mut out = String::with_capacity(TYPICAL);
        let written = if self.json {
            self.json(&mut out, line)
        } else {
            self.text(&mut out, line)
        };
        if written.is_ok() {
            self.queue.push(out.as_bytes());
        }
    }
}

impl AccessLogWriter {
    fn json(&self, out: &mut String, line: &AccessLogEntry<'_>) -> fmt::Result {
        write!(out, "{{\"time\":\"{}", self.clock.wall())?;
        out.push_str("\",\"level\":\"INFO\",\"target\":\"request\",\"id\":");
        quote(out, line.id)?;
        out.push_str(",\"lane\":\"");
        out.push_str(line.lane);
        out.push_str("\",\"actor\":");
        quote(out, line.actor)?;
        if let Some(address) = line.address {
            write!(out, ",\"address\":\"{address}\"")?;
        }
        out.push_str(",\"feature\":\"");
        out.push_str(line.feature);
        out.push_str("\",\"route\":\"");
        out.push_str(line.route);
        out.push_str("\",\"method\":");
        quote(out, line.method)?;
        out.push_str(",\"path\":");
        quote(out, line.path)?;
        out.push_str(",\"status\":");
        number(out, line.status.into());
        out.push_str(",\"whole\":");
        out.push_str(truth(line.whole));
        for (name, value) in numbers(line) {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            number(out, value);
        }
        out.push_str(",\"agent\":");
        quote(out, line.agent)?;
        out.write_str("}\n")
    }

    fn text(&self, out: &mut String, line: &AccessLogEntry<'_>) -> fmt::Result {
        let (method, path) = (printable(line.method), printable(line.path));
        write!(out, "{}  INFO {method} {path} ", self.clock.wall())?;
        number(out, line.status.into());
        pair(out, "id", line.id)?;
        pair(out, "lane", line.lane)?;
        pair(out, "actor", line.actor)?;
        if let Some(address) = line.address {
            write!(out, " address={address}")?;
        }
        out.push_str(" feature=");
        out.push_str(line.feature);
        out.push_str(" route=");
        out.push_str(line.route);
        out.push_str(" whole=");
        out.push_str(truth(line.whole));
        for (name, value) in numbers(line) {
            out.push(' ');
            out.push_str(name);
            out.push('=');
            number(out, value);
        }
        pair(out, "agent", line.agent)?;
        out.write_char('\n')
    }
}

/// The figures of a line, in their order.
fn numbers(line: &AccessLogEntry<'_>) -> [(&'static str, u64); 7] {
    [
        ("bytes_in", line.bytes_in),
        ("bytes_out", line.bytes_out),
        ("first_byte_ms", line.first_byte_ms),
        ("took_ms", line.took_ms),
        ("db_ms", line.db_ms),
        ("reads", line.reads),
        ("writes", line.writes),
    ]
}

/// Writes a number. The machinery of formatting takes several times as long, and a line has eight
/// of them.
fn number(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn pair(out: &mut String, name: &str, value: &str) -> fmt::Result {
    if is_plain(value) {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        out.push_str(&printable(value));
        Ok(())
    } else {
        write!(out, " {name}={value:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use seawall_types::Millis;

    use super::super::writer;
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn wall(&self) -> Millis {
            Millis(1_590_673_020_123)
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn written(json: bool) -> String {
        let log = AccessLogWriter {
            queue: writer::start(std::io::sink(), json).unwrap().0,
            clock: Arc::new(Fixed),
            json,
        };
        let line = AccessLogEntry {
            id: "7",
            lane: "pull",
            actor: "ann",
            address: "::1".parse().ok(),
            feature: "registry",
            route: "manifest.get",
            method: "GET",
            path: "/v2/a\u{1b}[2J",
            status: 200,
            whole: true,
            bytes_in: 0,
            bytes_out: 525,
            first_byte_ms: 0,
            took_ms: 1,
            db_ms: 0,
            reads: 0,
            writes: 0,
            agent: "a \"b\"",
        };
        let mut out = String::new();
        let done = if json {
            log.json(&mut out, &line)
        } else {
            log.text(&mut out, &line)
        };
        done.unwrap();
        out
    }

    #[test]
    fn a_json_line_is_json_with_every_field() {
        let value: serde_json::Value = serde_json::from_str(&written(true)).unwrap();
        let expected = serde_json::json!({
            "time": "2020-05-28T13:37:00.123Z", "level": "INFO", "target": "request", "id": "7",
            "lane": "pull", "actor": "ann", "address": "::1", "feature": "registry",
            "route": "manifest.get",
            "method": "GET", "path": "/v2/a\u{1b}[2J", "status": 200, "whole": true, "bytes_in": 0,
            "bytes_out": 525, "first_byte_ms": 0, "took_ms": 1, "db_ms": 0, "reads": 0, "writes": 0,
            "agent": "a \"b\"",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_line_of_text_is_read_at_a_glance_and_paints_no_terminal() {
        assert_eq!(
            written(false),
            "2020-05-28T13:37:00.123Z  INFO GET /v2/a\\u{1b}[2J 200 id=7 lane=pull actor=ann \
             address=::1 feature=registry route=manifest.get whole=true bytes_in=0 bytes_out=525 \
             first_byte_ms=0 took_ms=1 db_ms=0 reads=0 writes=0 agent=\"a \\\"b\\\"\"\n"
        );
    }
}
