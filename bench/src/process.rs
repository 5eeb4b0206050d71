//! The processes of registries: starting them so that none outlives the benchmark, and asking the
//! kernel what they cost.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// How long a process is given to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with both outputs in the file `log`. To be called from the main thread:
    /// the kernel ends the process together with the thread that started it, however that ends.
    pub(crate) fn start(program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let out = File::create(log)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            // Nothing of this environment changes how a registry is set up.
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_LOGS_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, waits, and ends it by force if it does not.
    pub(crate) async fn stop(mut self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..PATIENCE.as_millis() / 20 {
            if self.has_ended() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a program to its end with this text as its input. Errors say what the program said.
pub(crate) fn feed(program: &Path, arguments: &[&str], input: &str) -> Result<()> {
    let name = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let mut pipe = child.stdin.take().context("no pipe")?;
    pipe.write_all(input.as_bytes())?;
    drop(pipe);
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{name}: {}", said.trim());
    Ok(())
}

/// What a program prints when it is run with these arguments, trimmed; `None` if it cannot be run.
pub(crate) fn output_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The CPU time that a process has used, in user and kernel mode; `None` if there is no such
/// process. The kernel's grain is usually 10 ms.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; behind it, fields 14 and 15 are the 12th and 13th.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = [11, 12]
        .iter()
        .filter_map(|at| fields.get(*at)?.parse::<u64>().ok())
        .sum();
    let per_second = clock_ticks_per_second().max(1);
    Some(Duration::from_millis(
        ticks.saturating_mul(1000) / per_second,
    ))
}

/// The resident memory of a process in bytes; `None` if there is no such process.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_a_process_costs() {
        let own = std::process::id();
        assert!(cpu_time(own).is_some());
        assert!(resident(own).unwrap() > 100_000);
        assert!(resident(u32::MAX).is_none());
    }

    #[test]
    fn a_program_that_fails_is_heard() {
        let shell = |input| feed(Path::new("sh"), &["-s"], input);
        assert!(shell("exit 0").is_ok());
        let error = shell("echo no such luck >&2; exit 3").unwrap_err();
        assert!(error.to_string().ends_with("no such luck"), "{error}");
    }

    #[tokio::test]
    async fn a_process_is_gone_when_it_is_dropped_or_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let start = || Process::start(Path::new("sleep"), &["60"], &folder.path().join("log"));
        let (dropped, mut stopped) = (start().unwrap(), start().unwrap());
        let pids = [dropped.pid(), stopped.pid()];
        drop(dropped);
        assert!(!stopped.has_ended());
        stopped.stop().await;
        for pid in pids {
            assert!(resident(pid).is_none());
        }
    }
}
