//! The rows of the table and the goals of each. A goal that is missed is shown as missed.

use anyhow::{Result, bail};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Two,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// GET of a manifest by its tag.
    ManifestByTag(Protocol),
    /// GET of a manifest by its digest.
    ManifestByDigest,
    /// The same at a fixed rate, below what the slowest can do.
    ManifestPaced,
    /// HEAD of a manifest by its tag.
    ManifestHead,
    /// HEAD of a blob.
    BlobHead,
    /// GET of 1 KiB.
    BlobSmall,
    /// GET of 64 MiB.
    BlobLarge,
    /// Push of a layer of 64 MiB.
    PushLayer,
    /// Push of an image of ten small layers.
    PushImage,
    /// Push of a manifest under a new tag.
    PushTag,
    /// Push into a repository that does not exist.
    NewRepository,
    /// A page of the list of tags.
    TagsPage,
    /// A page of the catalog.
    CatalogPage,
    /// Getting a token.
    Token,
    /// Memory of a fresh server.
    MemoryAtRest,
    /// Memory per idle connection.
    MemoryPerConnection(Protocol),
}

impl Workload {
    /// Whether servers that do nothing are looked at; else they are under load.
    pub(crate) fn is_rest(self) -> bool {
        matches!(self, Self::MemoryAtRest | Self::MemoryPerConnection(_))
    }
}

/// What the machine itself can do, to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Yardstick {
    /// The generator against an empty server in its own process.
    Ceiling,
    /// Seawall's own `/health/live`.
    EmptyRoute,
    /// A loop that reads a file and writes it to a socket.
    BareSend,
    /// A loop that receives, hashes, writes and makes durable.
    BareReceive,
}

impl Yardstick {
    /// What it is, in a few words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ceiling => "generator against an empty server in its own process",
            Self::EmptyRoute => "Seawall's empty route, GET /health/live",
            Self::BareSend => "bare read-and-write loop, 64 MiB",
            Self::BareReceive => "bare receive, hash, write and fsync loop, 64 MiB",
        }
    }
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name on the command line.
    pub(crate) id: &'static str,
    /// What it says in the table; `{N}` stands for the number of entries.
    pub(crate) title: &'static str,
    /// The unit of its figures.
    pub(crate) unit: &'static str,
    /// What is done.
    pub(crate) work: Workload,
    /// How many clients do it at once; 0 stands for the number on the command line.
    pub(crate) clients: usize,
    /// By what a step is multiplied to come to the unit.
    pub(crate) factor: f64,
    /// How many times as fast as docker-registry 2.8 Seawall is to be.
    pub(crate) two: Option<f64>,
    /// The same against Distribution 3.
    pub(crate) three: Option<f64>,
    /// Which share of what the machine can do.
    pub(crate) machine: Option<(Yardstick, f64)>,
    /// What the figure is to be at most.
    pub(crate) most: Option<f64>,
}

impl Row {
    const fn new(id: &'static str, title: &'static str, work: Workload, clients: usize) -> Self {
        Self {
            id,
            title,
            unit: "/s",
            work,
            clients,
            factor: 1.0,
            two: None,
            three: None,
            machine: None,
            most: None,
        }
    }

    const fn beats(mut self, two: f64, three: f64) -> Self {
        self.two = Some(two);
        self.three = Some(three);
        self
    }

    const fn reaches(mut self, yardstick: Yardstick, share: f64) -> Self {
        self.machine = Some((yardstick, share));
        self
    }

    const fn at_most(mut self, most: f64, unit: &'static str) -> Self {
        self.most = Some(most);
        self.unit = unit;
        self
    }

    const fn mebibytes(mut self) -> Self {
        self.factor = 64.0;
        self.unit = "MiB/s";
        self
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Whether less is better.
    pub(crate) fn less_is_better(&self) -> bool {
        self.work.is_rest() || self.work == Workload::ManifestPaced
    }
}

/// All rows, in the order of the table.
pub(crate) static ROWS: &[Row] = &[
    Row::new(
        "manifest-tag",
        "manifest GET by tag",
        Workload::ManifestByTag(Protocol::Plain),
        0,
    )
    .beats(40.0, 6.0)
    .reaches(Yardstick::EmptyRoute, 0.6),
    Row::new(
        "manifest-digest",
        "manifest GET by digest",
        Workload::ManifestByDigest,
        0,
    )
    .beats(40.0, 6.0)
    .reaches(Yardstick::EmptyRoute, 0.6),
    Row::new(
        "manifest-paced",
        "manifest GET by tag at {R}/s: 99th percentile",
        Workload::ManifestPaced,
        0,
    )
    .unit("ms"),
    Row::new(
        "manifest-tls",
        "manifest GET by tag over TLS",
        Workload::ManifestByTag(Protocol::Tls),
        0,
    ),
    Row::new(
        "manifest-http2",
        "manifest GET by tag over HTTP/2 and TLS",
        Workload::ManifestByTag(Protocol::Two),
        0,
    ),
    Row::new(
        "manifest-head",
        "manifest HEAD by tag",
        Workload::ManifestHead,
        0,
    )
    .beats(35.0, 6.0),
    Row::new("blob-head", "blob HEAD", Workload::BlobHead, 0).beats(35.0, 6.0),
    Row::new("blob-1k", "blob GET 1 KiB", Workload::BlobSmall, 0).beats(40.0, 25.0),
    Row::new(
        "blob-64m",
        "blob GET 64 MiB, 2 clients",
        Workload::BlobLarge,
        2,
    )
    .beats(1.0, 1.0)
    .reaches(Yardstick::BareSend, 0.9)
    .mebibytes(),
    Row::new(
        "push-64m",
        "push 64 MiB layer, 1 client",
        Workload::PushLayer,
        1,
    )
    .beats(1.5, 1.2)
    .reaches(Yardstick::BareReceive, 0.8)
    .mebibytes(),
    Row::new(
        "push-image",
        "push image of 10 small layers, 1 client",
        Workload::PushImage,
        1,
    )
    .beats(4.0, 4.0),
    Row::new("push-tag", "tag pushes, 8 clients", Workload::PushTag, 8).beats(4.0, 3.0),
    Row::new(
        "new-repository",
        "new repositories, 8 clients",
        Workload::NewRepository,
        8,
    )
    .beats(5.0, 3.0),
    Row::new(
        "tags-page",
        "tags/list, page of 100 of {N}",
        Workload::TagsPage,
        0,
    )
    .beats(20.0, 10.0),
    Row::new(
        "catalog-page",
        "catalog, page of 100 of {N}",
        Workload::CatalogPage,
        0,
    )
    .beats(20.0, 10.0),
    Row::new(
        "tokens",
        "tokens, one user, warm, 8 clients",
        Workload::Token,
        8,
    ),
    Row::new("memory", "memory at rest", Workload::MemoryAtRest, 0).at_most(40.0, "MB"),
    Row::new(
        "connections",
        "memory per idle HTTP/1.1 connection ({C})",
        Workload::MemoryPerConnection(Protocol::Plain),
        0,
    )
    .at_most(20.0, "kB"),
    Row::new(
        "connections-tls",
        "memory per idle TLS connection ({C})",
        Workload::MemoryPerConnection(Protocol::Tls),
        0,
    )
    .unit("kB"),
    Row::new(
        "connections-http2",
        "memory per idle HTTP/2 connection over TLS ({C})",
        Workload::MemoryPerConnection(Protocol::Two),
        0,
    )
    .unit("kB"),
];

/// What is measured at Seawall alone; each has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Pages of short and of very long lists.
    Lists,
    /// Pulls beside attackers.
    Attacks,
    /// Whether time tells a hidden repository from a missing one.
    Oracle,
}

const PARTS: &[(&str, Part)] = &[
    ("lists", Part::Lists),
    ("attacks", Part::Attacks),
    ("oracle", Part::Oracle),
];

/// What is to be measured.
#[derive(Clone, Debug)]
pub(crate) struct BenchPlan {
    /// Rows of the table.
    pub(crate) rows: Vec<&'static Row>,
    /// Parts.
    pub(crate) parts: Vec<Part>,
}

impl BenchPlan {
    /// What has these names; all, if there is no name.
    pub(crate) fn chosen(names: &[String]) -> Result<Self> {
        let rows = ROWS.iter().map(|row| row.id);
        let all: Vec<_> = rows.chain(PARTS.iter().map(|part| part.0)).collect();
        if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
            bail!("there is no row {unknown}; there are {}", all.join(", "));
        }
        let wanted = |id: &str| names.is_empty() || names.iter().any(|name| name == id);
        let parts = PARTS.iter().filter(|part| wanted(part.0));
        Ok(Self {
            rows: ROWS.iter().filter(|row| wanted(row.id)).collect(),
            parts: parts.map(|part| part.1).collect(),
        })
    }

    /// Whether a part is to be measured.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Whether one of the rows is of this kind.
    pub(crate) fn any(&self, is_wanted: impl Fn(Workload) -> bool) -> bool {
        self.rows.iter().any(|row| is_wanted(row.work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(names: &[&str]) -> Result<BenchPlan> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        BenchPlan::chosen(&names)
    }

    #[test]
    fn rows_are_chosen_by_name_in_the_order_of_the_table() {
        let all = plan(&[]).unwrap();
        assert_eq!((all.rows.len(), all.parts.len()), (ROWS.len(), PARTS.len()));
        let some = plan(&["tokens", "oracle", "blob-1k"]).unwrap();
        let ids: Vec<_> = some.rows.iter().map(|row| row.id).collect();
        assert_eq!(ids, ["blob-1k", "tokens"]);
        assert!(some.has(Part::Oracle) && !some.has(Part::Attacks));
        assert!(plan(&["nothing"]).is_err());
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let rows = ROWS.iter().map(|row| row.id);
        let mut all: Vec<_> = rows.chain(PARTS.iter().map(|part| part.0)).collect();
        let number = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), number);
    }
}
