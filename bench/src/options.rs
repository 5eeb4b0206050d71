//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures Seawall side by side with other registries.
#[derive(Clone, Debug, Parser)]
#[command(name = "seawall-bench", max_term_width = 100)]
pub(crate) struct Options {
    /// The rows to measure, such as manifest-tag,push-64m, and the parts lists, attacks and oracle;
    /// all if none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// How long each measurement takes, in seconds [default: 1.2; quick: 0.5].
    #[arg(long)]
    seconds: Option<f64>,
    /// How many times everything is measured; figures are medians [default: 5; quick: 1].
    #[arg(long)]
    rounds: Option<usize>,
    /// One short round, to see that it works. Its figures are worth little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How many clients read at once.
    #[arg(long, default_value_t = 16)]
    pub(crate) clients: usize,
    /// How many tags, and how many repositories, the long lists have [default: 10000; quick: 1000].
    #[arg(long)]
    entries: Option<usize>,
    /// How long the longest lists are, which are written into Seawall's database [default: 1000000;
    /// quick: 20000].
    #[arg(long)]
    many: Option<usize>,
    /// How many uploads are opened and forgotten [default: 10000; quick: 1000].
    #[arg(long)]
    uploads: Option<usize>,
    /// How many idle connections are opened to see what they cost [default: 10000; quick: 1000].
    #[arg(long)]
    connections: Option<usize>,
    /// The rate of the paced row [default: half of what the slowest registry can do].
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Seawall's binary, built for release.
    #[arg(long, default_value = "target/release/seawall")]
    pub(crate) seawall: PathBuf,
    /// The binary of Debian's docker-registry 2.8.
    #[arg(long, default_value = "/usr/bin/docker-registry")]
    pub(crate) docker_registry: PathBuf,
    /// The binary of Distribution 3.
    #[arg(long, default_value = "registry")]
    pub(crate) distribution: PathBuf,
    /// Further registries, `name=http://user:password@host:port/prefix`, parted by blanks.
    #[arg(long, env = "PEERS", default_value = "")]
    pub(crate) peers: String,
    /// Where the registries keep their data; it should be a real disk [default: the system's
    /// folder for temporary files].
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// Where the report is written [default: docs/benchmarks.md; of a quick run or of some rows
    /// only: nowhere].
    #[arg(long)]
    output: Option<PathBuf>,
}

impl Options {
    /// How long each measurement takes.
    pub(crate) fn window(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 0.5 } else { 1.2 });
        Duration::from_secs_f64(seconds.clamp(0.05, 3600.0))
    }

    /// How many times everything is measured.
    pub(crate) fn rounds(&self) -> usize {
        self.or(self.rounds, 5, 1).max(1)
    }

    /// How long the long lists are.
    pub(crate) fn entries(&self) -> usize {
        self.or(self.entries, 10_000, 1000).max(200)
    }

    fn or(&self, given: Option<usize>, whole: usize, quick: usize) -> usize {
        given.unwrap_or(if self.quick { quick } else { whole })
    }

    /// How long the longest lists are.
    pub(crate) fn many(&self) -> usize {
        // Seven digits number them in twos.
        self.or(self.many, 1_000_000, 20_000).clamp(2000, 5_000_000)
    }

    /// How many uploads are forgotten.
    pub(crate) fn uploads(&self) -> usize {
        self.or(self.uploads, 10_000, 1000)
    }

    /// How many requests of each kind are timed in a round to tell hidden from missing.
    pub(crate) fn timings(&self) -> usize {
        self.or(None, 1000, 400)
    }

    /// How many connections are idle.
    pub(crate) fn connections(&self) -> usize {
        self.or(self.connections, 10_000, 1000).max(1)
    }

    /// Where the report goes, if anywhere.
    pub(crate) fn output(&self) -> Option<PathBuf> {
        let whole = !self.quick && self.rows.is_empty();
        let usual = whole.then(|| PathBuf::from("docs/benchmarks.md"));
        self.output.clone().or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_leaves_the_report_alone() {
        let parse = |line: &[&str]| Options::try_parse_from(line).unwrap();
        let quick = parse(&["bench", "--quick"]);
        assert_eq!(
            (quick.rounds(), quick.entries(), quick.output()),
            (1, 1000, None)
        );
        let whole = parse(&["bench"]);
        assert_eq!((whole.rounds(), whole.entries()), (5, 10_000));
        assert!(whole.output().is_some());
        assert!(
            parse(&["bench", "--rows", "tokens,memory"])
                .output()
                .is_none()
        );
    }
}
