//! The format of log lines: one JSON object, or text for people.
//!
//! It is written by hand and not with tracing-subscriber's own formats, because the time comes from
//! the process's clock and a text from outside must neither end a line nor paint a terminal. The
//! line per request does not come this way.

use std::fmt::{self, Write};
use std::sync::Arc;

use seawall_types::Clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The format of all lines.
pub(super) struct Lines {
    json: bool,
    clock: Arc<dyn Clock>,
}

impl Lines {
    pub(super) fn new(json: bool, clock: Arc<dyn Clock>) -> Self {
        Self { json, clock }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = self.clock.wall();
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if self.json {
            write!(
                out,
                "{{\"time\":\"{time}\",\"level\":\"{level}\",\"target\":"
            )?;
            quote(&mut out, target)?;
            let mut fields = JsonFields(&mut out, Ok(()));
            event.record(&mut fields);
            fields.1?;
            spans::<S, N>(context, &mut out, true)?;
            return out.write_str("}\n");
        }
        let ansi = out.has_ansi_escapes();
        let (dim, off) = if ansi {
            ("\u{1b}[2m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        write!(out, "{dim}{time}{off} ")?;
        paint(&mut out, *level)?;
        write!(out, " {dim}{target}:{off}")?;
        let mut fields = TextFields {
            message: String::new(),
            fields: String::new(),
        };
        event.record(&mut fields);
        write!(out, "{}{}", fields.message, fields.fields)?;
        spans::<S, N>(context, &mut out, false)?;
        out.write_char('\n')
    }
}

/// The spans around the event, the outermost first.
fn spans<S, N>(context: &FmtContext<'_, S, N>, out: &mut Writer<'_>, json: bool) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = context.event_scope() else {
        return Ok(());
    };
    let mut path = String::new();
    for span in scope.from_root() {
        let extensions = span.extensions();
        let fields = extensions
            .get::<FormattedFields<N>>()
            .map_or("", |fields| fields.as_str());
        let separator = if path.is_empty() { "" } else { " > " };
        write!(path, "{separator}{}", span.name())?;
        if !fields.is_empty() {
            write!(path, "{{{fields}}}")?;
        }
    }
    match (path.is_empty(), json) {
        (true, _) => Ok(()),
        (false, true) => {
            out.write_str(",\"in\":")?;
            quote(out, &path)
        }
        (false, false) => write!(out, " in {path}"),
    }
}

fn paint(out: &mut Writer<'_>, level: Level) -> fmt::Result {
    if !out.has_ansi_escapes() {
        return write!(out, "{level:>5}");
    }
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    write!(out, "\u{1b}[{colour}m{level:>5}\u{1b}[0m")
}

/// Writes `,"name":value` for each field.
struct JsonFields<'a, 'w>(&'a mut Writer<'w>, fmt::Result);

impl JsonFields<'_, '_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.1.is_ok() {
            self.1 = name(self.0, field).and_then(|()| value(self.0));
        }
    }
}

fn name(out: &mut Writer<'_>, field: &Field) -> fmt::Result {
    out.write_char(',')?;
    // Four words are the line's own.
    let name = match field.name() {
        "time" | "level" | "target" | "in" => format!("{}_", field.name()),
        name => name.to_owned(),
    };
    quote(out, &name)?;
    out.write_char(':')
}

impl Visit for JsonFields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, |out| {
            if value.is_finite() {
                write!(out, "{value}")
            } else {
                out.write_str("null")
            }
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |out| write!(out, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |out| quote(out, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, |out| quote(out, &chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, |out| quote(out, &format!("{value:?}")));
    }
}

/// Writes a text as JSON.
pub(super) fn quote(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.write_str(&text[done..at])?;
        match byte {
            b'"' | b'\\' => write!(out, "\\{}", char::from(byte))?,
            b'\n' => out.write_str("\\n")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
        done = at + 1;
    }
    out.write_str(&text[done..])?;
    out.write_char('"')
}

/// An error and its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Collects ` message` and ` name=value`.
struct TextFields {
    message: String,
    fields: String,
}

impl TextFields {
    fn put(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let _ = write!(self.message, " {}", printable(value));
            return;
        }
        let _ = write!(self.fields, " {}=", field.name());
        if is_plain(value) {
            self.fields.push_str(&printable(value));
        } else {
            let _ = write!(self.fields, "{value:?}");
        }
    }
}

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, &chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

/// Whether a value needs no quotes.
pub(super) fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.contains([' ', '"', '='])
}

/// Whether a letter does more than to stand there: moves the cursor, turns the direction of what
/// follows, joins itself to the letter before it, or is not seen at all.
fn is_active(letter: char) -> bool {
    // What is not printable is written by its number, which takes more than a backslash and a
    // letter.
    letter.is_control() || (!letter.is_ascii() && letter.escape_debug().len() > 2)
}

/// The text without characters that would paint a terminal or show another text than there is.
pub(super) fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().any(is_active) {
        text.chars()
            .flat_map(|letter| {
                let escaped = is_active(letter);
                let shown: Vec<char> = if escaped {
                    letter.escape_default().collect()
                } else {
                    vec![letter]
                };
                shown
            })
            .collect::<String>()
            .into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;
    use std::time::Duration;

    use seawall_types::Millis;
    use tracing_subscriber::layer::SubscriberExt;

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

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let out = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || out.clone())
            .event_format(Lines::new(json, Arc::new(Fixed)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn request() {
        tracing::info!(target: "other", path = "/v2/a\u{1b}[2J", status = 200_u16, ms = 1.5, agent = "a \"b\"");
    }

    #[test]
    fn nothing_in_the_text_turns_hides_or_moves_what_follows() {
        let odd = "a\u{202e}b\u{200b}c\u{2066}d\u{feff}e\u{1b}[2Jf\n";
        let shown = printable(odd);
        assert_eq!(
            shown,
            "a\\u{202e}b\\u{200b}c\\u{2066}d\\u{feff}e\\u{1b}[2Jf\\n"
        );
        for plain in ["ann/app", "a \"b\" 'c' \\", "ännchen пароль 名前 ☃"] {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn lines_are_read_at_a_glance() {
        assert_eq!(
            logged(false, request),
            "2020-05-28T13:37:00.123Z  INFO other: path=/v2/a\\u{1b}[2J status=200 ms=1.5 agent=\"a \\\"b\\\"\"\n",
        );
    }

    #[test]
    fn a_json_line_is_json() {
        let line = logged(true, request);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["time"], "2020-05-28T13:37:00.123Z");
        assert_eq!(
            (value["level"].as_str(), value["target"].as_str()),
            (Some("INFO"), Some("other"))
        );
        assert_eq!(value["status"], 200);
        assert_eq!(value["ms"], 1.5);
        assert_eq!(
            (value["path"].as_str(), value["agent"].as_str()),
            (Some("/v2/a\u{1b}[2J"), Some("a \"b\""))
        );
    }

    #[test]
    fn spans_and_causes_are_told() {
        let log = || {
            let _span = tracing::info_span!("job", id = 7).entered();
            let error = io::Error::other("the cause");
            tracing::warn!(
                error = &error as &(dyn std::error::Error + 'static),
                level = 1,
                "did\nnot work"
            );
        };
        let line = logged(true, log);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "did\nnot work");
        assert_eq!(value["level_"], 1);
        assert_eq!(value["in"], "job{id=7}");
        assert!(
            logged(false, log)
                .ends_with("did\\nnot work error=\"the cause\" level=1 in job{id=7}\n")
        );
    }
}
