//! Writes lines in a thread of its own, behind a bounded buffer.
//!
//! A terminal that was stopped with Ctrl-S, or a log collector that does not read, must not hold up
//! requests. So when the buffer is full, the newest lines are dropped, whatever their level; they
//! are counted in `seawall_log_lines_dropped_total`, and a line says how many they were as soon as
//! there is room again. Lines are gathered for some milliseconds and written at once, since waking
//! the thread costs more than most lines.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes may wait: some seconds of a busy server.
const MOST: usize = 8 << 20;

/// So many bytes are written without waiting for more.
const ENOUGH: usize = 64 << 10;

/// How long the first line waits for others.
const GATHER: Duration = Duration::from_millis(5);

/// How long the end of the process waits for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
    ending: bool,
    done: bool,
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock()
    }
}

/// Where lines go.
#[derive(Clone)]
pub(super) struct LineQueue(Arc<Shared>);

/// The writing thread. Dropping it waits, for a bounded time, until all is written.
pub struct LogWriter(Arc<Shared>);

/// Starts writing to `out`; `json` gives the format of the thread's own lines.
pub(super) fn start(
    out: impl Write + Send + 'static,
    json: bool,
) -> io::Result<(LineQueue, LogWriter)> {
    let shared = Arc::new(Shared::default());
    let work = WriterState {
        out,
        json,
        shared: Arc::clone(&shared),
    };
    std::thread::Builder::new()
        .name("seawall-log".to_owned())
        .spawn(move || work.run())?;
    Ok((LineQueue(Arc::clone(&shared)), LogWriter(shared)))
}

/// What the writing thread works with.
struct WriterState<W> {
    out: W,
    json: bool,
    shared: Arc<Shared>,
}

impl<W: Write> WriterState<W> {
    fn run(mut self) {
        let mut bytes = Vec::new();
        loop {
            let (dropped, ending) = self.gather(&mut bytes);
            // Errors cannot be logged, and a log that is not taken is no reason to stop.
            let _ = self.out.write_all(&bytes);
            self.report_dropped(dropped);
            bytes.clear();
            if ending {
                break;
            }
        }
        let _ = self.out.flush();
        self.shared.lock().done = true;
        self.shared.changed.notify_all();
    }

    /// Waits for lines and takes them; says how many were dropped, and whether these are the last.
    fn gather(&self, bytes: &mut Vec<u8>) -> (u64, bool) {
        let shared = &self.shared;
        let idle = |buffer: &mut Buffer| buffer.bytes.is_empty() && !buffer.ending;
        let mut buffer = shared.lock();
        shared.changed.wait_while(&mut buffer, idle);
        let few = |buffer: &mut Buffer| buffer.bytes.len() < ENOUGH && !buffer.ending;
        shared.changed.wait_while_for(&mut buffer, few, GATHER);
        std::mem::swap(&mut buffer.bytes, bytes);
        (std::mem::take(&mut buffer.dropped), buffer.ending)
    }

    fn report_dropped(&mut self, dropped: u64) {
        if dropped == 0 {
            return;
        }
        let text = format!("{dropped} lines of the log were dropped");
        let _ = if self.json {
            let head = "{\"level\":\"WARN\",\"target\":\"seawall::log\",\"message\":";
            writeln!(self.out, "{head}\"{text}\"}}")
        } else {
            writeln!(self.out, "{text}")
        };
    }
}

impl LineQueue {
    /// Takes one whole line.
    pub(super) fn push(&self, line: &[u8]) {
        let mut buffer = self.0.lock();
        if buffer.bytes.len() + line.len() > MOST {
            buffer.dropped += 1;
            drop(buffer);
            metrics::counter!("seawall_log_lines_dropped_total").increment(1);
            return;
        }
        let before = buffer.bytes.len();
        buffer.bytes.extend_from_slice(line);
        let enough = before < ENOUGH && buffer.bytes.len() >= ENOUGH;
        drop(buffer);
        if before == 0 || enough {
            self.0.changed.notify_one();
        }
    }
}

impl Write for LineQueue {
    /// The subscriber gives one whole line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let mut buffer = self.0.lock();
        buffer.ending = true;
        self.0.changed.notify_all();
        let waiting = |buffer: &mut Buffer| !buffer.done;
        let changed = &self.0.changed;
        changed.wait_while_for(&mut buffer, waiting, LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Writes into a vector, but only while it is let.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_dropped_and_counted_when_nobody_takes_them() {
        let out = Slow::default();
        let (mut queue, writer) = start(out.clone(), true).unwrap();
        let held = out.0.lock().unwrap();
        // The thread is busy with a first line that it cannot get rid of; from here on nothing
        // leaves the buffer.
        queue.write_all(b"first\n").unwrap();
        while !queue.0.lock().bytes.is_empty() {
            std::thread::yield_now();
        }
        let line = [b"line".repeat(1000), b"\n".to_vec()].concat();
        for _ in 0..MOST / line.len() + 100 {
            queue.write_all(&line).unwrap();
        }
        assert_eq!(queue.0.lock().dropped, 100);
        drop(held);
        drop(writer);
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("first\nline"));
        assert!(text.contains("100 lines of the log were dropped"));
    }

    #[test]
    fn the_last_line_is_written_before_the_end() {
        let out = Slow::default();
        let (mut queue, writer) = start(out.clone(), true).unwrap();
        queue.write_all(b"last\n").unwrap();
        drop(writer);
        assert_eq!(*out.0.lock().unwrap(), b"last\n");
    }
}
