//! Writes lines in a thread of its own, behind a bounded queue.
//!
//! A terminal that was stopped with Ctrl-S, or a log collector that does not read, must not hold up requests. So when the queue
//! is full, the newest lines are dropped, whatever their level; they are counted in `seawall_log_lines_dropped_total`, and a
//! line says how many they were as soon as there is room again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait: some seconds of a busy server.
const QUEUE: usize = 16_384;

/// How long the end of the process waits for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

enum Message {
    Line(Vec<u8>),
    End,
}

/// Where the subscriber writes to.
#[derive(Clone)]
pub(super) struct Queue {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// The writing thread. Dropping it waits, for a bounded time, until all is written.
pub struct LogWriter {
    sender: SyncSender<Message>,
    ending: Arc<AtomicBool>,
    done: Receiver<()>,
}

/// What the writing thread works with.
struct Work<W> {
    out: W,
    json: bool,
    receiver: Receiver<Message>,
    dropped: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
}

/// Starts writing to `out`; `json` says how the thread's own words are to look.
pub(super) fn start(
    out: impl Write + Send + 'static,
    json: bool,
) -> io::Result<(Queue, LogWriter)> {
    let (sender, receiver) = sync_channel(QUEUE);
    let (finished, done) = sync_channel(1);
    let queue = Queue {
        sender: sender.clone(),
        dropped: Arc::default(),
    };
    let writer = LogWriter {
        sender,
        ending: Arc::default(),
        done,
    };
    let work = Work {
        out,
        json,
        receiver,
        dropped: Arc::clone(&queue.dropped),
        ending: Arc::clone(&writer.ending),
    };
    std::thread::Builder::new()
        .name("seawall-log".to_owned())
        .spawn(move || {
            work.run();
            // The process may have given up waiting, which is its right.
            let _ = finished.try_send(());
        })?;
    Ok((queue, writer))
}

impl<W: Write> Work<W> {
    fn run(mut self) {
        while let Ok(Message::Line(line)) = self.receiver.recv() {
            self.write(&line);
            // The wish to end may have found the queue full.
            if self.ending.load(Ordering::Relaxed) {
                while let Ok(Message::Line(line)) = self.receiver.try_recv() {
                    self.write(&line);
                }
                break;
            }
        }
        let _ = self.out.flush();
    }

    /// Errors cannot be logged, and a log that nobody takes is no reason to stop.
    fn write(&mut self, line: &[u8]) {
        let _ = self.out.write_all(line);
        let missing = self.dropped.swap(0, Ordering::Relaxed);
        if missing == 0 {
            return;
        }
        let text = format!("{missing} lines of the log were dropped");
        let _ = if self.json {
            let head = "{\"level\":\"WARN\",\"target\":\"seawall::log\",\"message\":";
            writeln!(self.out, "{head}\"{text}\"}}")
        } else {
            writeln!(self.out, "{text}")
        };
    }
}

impl Write for Queue {
    /// The subscriber gives one whole line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.sender.try_send(Message::Line(line.to_vec())) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("seawall_log_lines_dropped_total").increment(1);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = self.sender.try_send(Message::End);
        let _ = self.done.recv_timeout(LAST_WORDS);
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
        for _ in 0..QUEUE + 100 {
            queue.write_all(b"line\n").unwrap();
        }
        assert!(queue.dropped.load(Ordering::Relaxed) >= 99);
        drop(held);
        drop(writer);
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("line\n"));
        assert!(text.contains("lines of the log were dropped"));
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
