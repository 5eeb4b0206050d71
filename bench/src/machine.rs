//! What the benchmark ran on. Figures without it mean nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;

use crate::statistics::percentile;

/// The most memory that is touched beforehand, and a piece of it, in bytes.
const MOST_TOUCHED: u64 = 16 << 30;
const PIECE: usize = 256 << 20;

/// The size of a page of memory, or a part of it.
const PAGE: usize = 4 << 10;

/// How often the disk is asked to make 4 KiB durable.
const SYNCS: usize = 50;

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// How many cores this process may use.
    pub(crate) cores: usize,
    /// The processor's name.
    pub(crate) processor: String,
    /// Memory in GiB.
    pub(crate) memory: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The file system and device below the data.
    pub(crate) disk: String,
    /// The median time of writing 4 KiB and making them durable.
    pub(crate) sync: Duration,
}

impl Machine {
    /// This machine, with data in `folder`.
    pub(crate) fn look(folder: &Path) -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kibibytes = kibibytes(&memory, "MemTotal");
        Ok(Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: field(&info, "model name").unwrap_or_else(|| "?".to_owned()),
            memory: format!("{} GiB", kibibytes.div_ceil(1 << 20)),
            kernel: read_line("/proc/sys/kernel/osrelease"),
            disk: disk(folder),
            sync: sync(folder)?,
        })
    }
}

/// Touches most of the memory that is free, once, and gives it back; returns how many bytes.
///
/// A virtual machine gets its memory from the host page by page, when it first touches it, and that
/// costs more than whatever is measured then. Else it would be a matter of luck whose files fall on
/// memory that was used before.
pub(crate) fn touch_memory() -> u64 {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = kibibytes(&memory, "MemFree").saturating_mul(1 << 10);
    let number = |path| read_line(path).parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max").unwrap_or(u64::MAX);
    let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
    let free = free.min(limit.saturating_sub(used)) / 4 * 3;
    let pieces = usize::try_from(free.min(MOST_TOUCHED)).map_or(0, |free| free / PIECE);
    let touched = (0..pieces).map(|_| {
        let mut piece = vec![0_u8; PIECE];
        piece.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        piece
    });
    // All of it at once, or the same pages would be touched again and again.
    let touched: Vec<_> = touched.collect();
    touched.iter().map(|piece| piece.len() as u64).sum()
}

/// How busy the machine is: the three load averages.
pub(crate) fn load() -> String {
    let all = read_line("/proc/loadavg");
    all.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|_| "?".to_owned());
    text.trim().to_owned()
}

/// A figure of `/proc/meminfo`.
fn kibibytes(memory: &str, name: &str) -> u64 {
    let figure = field(memory, name);
    figure
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(value)
}

/// The mount that holds the folder: the one with the longest path before it.
fn disk(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let holder = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, at, kind) = (words.next()?, words.next()?, words.next()?);
            folder.starts_with(at).then_some((at.len(), device, kind))
        })
        .max_by_key(|(length, ..)| *length);
    holder.map_or_else(
        || "?".to_owned(),
        |(_, device, kind)| format!("{kind} on {device}"),
    )
}

fn sync(folder: &Path) -> Result<Duration> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..SYNCS {
        let begun = SystemClock.elapsed();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(SystemClock.elapsed().saturating_sub(begun));
    }
    fs::remove_file(path)?;
    took.sort_unstable();
    Ok(percentile(&took, 500).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::look(folder.path()).unwrap();
        assert!(machine.cores > 0 && machine.sync > Duration::ZERO);
        assert_ne!(machine.disk, "?");
        assert_eq!(load().split(' ').count(), 3);
    }

    #[test]
    fn fields_are_found_by_their_name() {
        let text = "a\t: 1\nmodel name\t: X 3\n";
        assert_eq!(field(text, "model name").as_deref(), Some("X 3"));
        assert_eq!(field(text, "model"), None);
    }
}
