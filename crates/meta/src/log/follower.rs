//! The follower of a log: reads rows in whatever order their transactions commit.
//!
//! What is missing at or below the log's floor was there once and is not any more: it may have been
//! a row that this reader never saw (it was asleep while the row was committed and pruned). So that
//! counts as another history.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seawall_types::Millis;

use super::close;
use super::holes::Holes;
use super::table::{HEAD, LogTable};
use crate::args;
use crate::args::{Args, list};
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::row::Row;
use crate::session::{Session, TimedRows};
use crate::statement::{SIZES, Statement};

/// Rows read at most per poll, apart from those that fill holes.
const PAGE: usize = 1000;
/// Ranges of ids asked for at once.
const RANGES: usize = SIZES[SIZES.len() - 1];
/// How long an id must have been missing before it is taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ids taken at most per poll.
const CLOSED_AT_ONCE: usize = 4096;

/// One row of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the log.
    pub id: i64,
    /// What it announces; never 0.
    pub kind: i64,
    /// When it was written, by the database's clock.
    pub at: Millis,
    /// The payload columns, from 0 on.
    pub row: Row,
}

/// What a poll found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollOutcome {
    /// Rows not seen before. Not in the order of their ids when a commit was overtaken.
    pub rows: Vec<LogRow>,
    /// Every id up to this one has been seen: the position to store or to tell others.
    pub low_water: i64,
    /// The highest id seen.
    pub high_water: i64,
    /// Since when there was a connection to poll on, by our clock: what was committed before is in
    /// what was found.
    pub began: Duration,
    /// There is more than one poll takes: poll again at once. Only a poll without `more` has seen
    /// all that was committed before it began.
    pub more: bool,
    /// The log is not the one that was read so far (failover, restore, or this reader slept through
    /// a pruning): forget everything derived from it. The follower has gone back to the stored
    /// floor.
    pub history_changed: bool,
}

/// A reader of a log. It must be the only user of its position, and polls as often as its owner
/// calls.
///
/// Holds no connection between polls. That of the change log polls on a dedicated connection, so
/// that the caches of this process stay fresh while all others are taken.
pub struct Follower {
    meta: Meta,
    table: &'static LogTable,
    /// Whether it polls on the dedicated connection.
    apart: bool,
    highest: i64,
    /// Ids and nonces of rows of the last poll that found any: the highest, and those that filled
    /// holes. A row that a later poll found was committed later, so if these are there, all earlier
    /// ones are.
    anchors: Vec<(i64, i64)>,
    holes: Holes,
    closing: Arc<AtomicBool>,
    changed: bool,
}

impl Follower {
    pub(crate) fn new(meta: Meta, table: &'static LogTable, apart: bool) -> Self {
        let (anchors, holes, closing) = (Vec::new(), Holes::default(), Arc::default());
        Self {
            meta,
            table,
            apart,
            highest: 0,
            anchors,
            holes,
            closing,
            changed: false,
        }
    }

    /// Begins (again) behind `floor`: the stored floor of the log, or a position that this reader
    /// stored. When rows behind it were pruned already, or the row at it is gone (restore), the
    /// first poll says so.
    pub async fn start(&mut self, floor: i64) -> Result<()> {
        let stored = self.meta.log_floor(self.table).await?;
        self.changed = floor < stored;
        self.restart(stored);
        if floor > stored {
            // Everything above the stored floor and up to a position that was reached is there,
            // void rows included.
            let row = self
                .meta
                .own_session()
                .optional(self.table.page, args![floor, 1])
                .await?;
            match row
                .map(|row| Ok::<_, Error>((row.int(0)?, row.int(1)?)))
                .transpose()?
            {
                Some(anchor) if anchor.0 == floor => {
                    self.restart(floor);
                    self.anchors.push(anchor);
                }
                _ => self.changed = true,
            }
        }
        Ok(())
    }

    /// Polls once. An error leaves the position as it was; a database that takes no writes is an
    /// error, since a standby may lag behind what was acknowledged.
    pub async fn poll(&mut self) -> Result<PollOutcome> {
        let found = self.find().await;
        if matches!(found, Err(Error::ReadOnly(_))) {
            self.meta.shared.observe_standby();
        }
        found
    }

    async fn find(&mut self) -> Result<PollOutcome> {
        if std::mem::take(&mut self.changed) {
            return Ok(self.history_changed());
        }
        let mut look = PollQuery {
            session: self.session(),
            began: None,
        };
        let anchor = self
            .anchors
            .iter()
            .find(|(id, _)| *id == self.highest)
            .copied();
        let from = if anchor.is_some() {
            self.highest
        } else {
            self.highest + 1
        };
        // A hole may be filled between the statements; the next poll finds it then.
        let others = self.other_anchors(&mut look).await?;
        let (filled, rest) = self.fillings(&mut look).await?;
        let args = args![from, PAGE + 1];
        let (page, asked) = look.ask(self.table.page, args).await?;
        if self.apart && !page.is_empty() {
            // Before the rows are published: a reader that acts on them must find them committed.
            self.meta.shared.observe_primary();
        }
        // Asked for last, so that it covers whatever was pruned before any of these questions.
        let floor = page.first().map_or(0, |entry| entry.floor);
        match page.first() {
            Some(entry) => self.meta.shared.time.note(entry.now, asked),
            // Nothing was ever written.
            None => drop(self.meta.observe_time().await?),
        }
        let first = page.first().map(|entry| (entry.row.id, entry.nonce));
        let anchored = others && (anchor.is_none() || first == anchor);
        if !anchored || self.takes_unheard(floor, &filled) {
            return self.begin_again().await;
        }
        let mut poll = self.take(anchor.is_some(), filled, page);
        if self.holes.first().is_some_and(|first| first <= floor) {
            return self.begin_again().await;
        }
        poll.more |= rest;
        poll.began = look.began.unwrap_or(asked);
        self.close_holes(self.meta.shared.clock.elapsed());
        Ok(poll)
    }

    async fn begin_again(&mut self) -> Result<PollOutcome> {
        let floor = self.meta.log_floor(self.table).await?;
        self.restart(floor);
        Ok(self.history_changed())
    }

    /// Whether the anchors that the page does not begin with are there.
    async fn other_anchors(&self, look: &mut PollQuery) -> Result<bool> {
        let others: Vec<(i64, i64)> = self
            .anchors
            .iter()
            .filter(|(id, _)| *id != self.highest)
            .copied()
            .collect();
        let ids: Vec<(i64, i64)> = others.iter().map(|(id, _)| (*id, *id)).collect();
        for (asked, wanted) in ids.chunks(RANGES).zip(others.chunks(RANGES)) {
            let found = self.within(look, asked).await?;
            let there = |(id, nonce): &(i64, i64)| {
                found.iter().any(|e| e.row.id == *id && e.nonce == *nonce)
            };
            if !wanted.iter().all(there) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rows that fill holes, and whether there may be more of them than one poll takes.
    async fn fillings(&self, look: &mut PollQuery) -> Result<(Vec<Entry>, bool)> {
        let holes: Vec<(i64, i64)> = self.holes.ranges().collect();
        let mut filled = Vec::new();
        for asked in holes.chunks(RANGES) {
            let mut found = self.within(look, asked).await?;
            let full = found.len() > PAGE;
            filled.append(&mut found);
            if full || filled.len() > PAGE {
                return Ok((filled, true));
            }
        }
        Ok((filled, false))
    }

    async fn within(&self, look: &mut PollQuery, ranges: &[(i64, i64)]) -> Result<Vec<Entry>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let (firsts, lasts): (Vec<i64>, Vec<i64>) = ranges.iter().copied().unzip();
        let arguments = args![list(firsts), list(lasts), PAGE + 1];
        Ok(look.ask(self.table.ranges, arguments).await?.0)
    }

    /// Whether a void row stands in a hole at or below the floor: the row that was there may have
    /// been pruned unheard before its id was taken.
    fn takes_unheard(&self, floor: i64, filled: &[Entry]) -> bool {
        let void = |entry: &&Entry| entry.row.kind == 0 && entry.row.id <= floor;
        filled
            .iter()
            .filter(void)
            .any(|entry| self.holes.has(entry.row.id))
    }

    /// Every id up to this one has been seen.
    pub fn low_water(&self) -> i64 {
        self.holes.first().map_or(self.highest, |first| first - 1)
    }

    fn session(&self) -> Session {
        if self.apart {
            self.meta.dedicated_session()
        } else {
            self.meta.own_session()
        }
    }

    fn restart(&mut self, floor: i64) {
        self.highest = floor;
        self.anchors.clear();
        self.holes.clear();
    }

    fn history_changed(&self) -> PollOutcome {
        let (low_water, high_water) = (self.low_water(), self.highest);
        PollOutcome {
            rows: Vec::new(),
            low_water,
            high_water,
            began: Duration::ZERO,
            more: true,
            history_changed: true,
        }
    }

    fn take(&mut self, anchored: bool, filled: Vec<Entry>, page: Vec<Entry>) -> PollOutcome {
        let now = self.meta.shared.clock.elapsed();
        let more = page.len() > PAGE;
        let mut rows = Vec::new();
        let mut anchors = Vec::new();
        for entry in filled {
            if self.holes.fill(entry.row.id) {
                anchors.push((entry.row.id, entry.nonce));
                rows.extend(entry.announced());
            }
        }
        let mut last = None;
        for entry in page.into_iter().take(PAGE).skip(usize::from(anchored)) {
            self.holes.open(self.highest + 1, entry.row.id - 1, now);
            self.highest = entry.row.id;
            last = Some((entry.row.id, entry.nonce));
            rows.extend(entry.announced());
        }
        if last.is_some() || !anchors.is_empty() {
            let highest = last.or_else(|| {
                self.anchors
                    .iter()
                    .find(|(id, _)| *id == self.highest)
                    .copied()
            });
            anchors.extend(highest);
            self.anchors = anchors;
        }
        let (low_water, high_water) = (self.low_water(), self.highest);
        PollOutcome {
            rows,
            low_water,
            high_water,
            began: Duration::ZERO,
            more,
            history_changed: false,
        }
    }

    /// Takes the ids of old holes in the background: it may have to wait for locks, and the next
    /// poll must not.
    fn close_holes(&self, now: Duration) {
        let ids = self.holes.aged(now, PATIENCE, CLOSED_AT_ONCE);
        if ids.is_empty() || self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (meta, table, closing) = (self.meta.clone(), self.table, Arc::clone(&self.closing));
        let work = async move {
            close::close(&meta, table, &ids).await;
            closing.store(false, Ordering::Release);
        };
        self.meta
            .shared
            .tasks
            .spawn("meta.log.close", Box::pin(work));
    }
}

/// The statements of one poll.
struct PollQuery {
    session: Session,
    /// Since when there was a connection for the first of them.
    began: Option<Duration>,
}

impl PollQuery {
    /// What was found, and since when there was a connection to ask on.
    async fn ask(
        &mut self,
        statement: &'static Statement,
        args: Args,
    ) -> Result<(Vec<Entry>, Duration)> {
        let TimedRows { rows, since } = self.session.timed(statement, args).await?;
        self.began.get_or_insert(since);
        Ok((read(rows)?, since))
    }
}

/// A row as it was read, with the database's time and the log's floor at that moment.
struct Entry {
    nonce: i64,
    row: LogRow,
    now: Millis,
    floor: i64,
}

impl Entry {
    /// The row, unless it is void.
    fn announced(self) -> Option<LogRow> {
        (self.row.kind != 0).then_some(self.row)
    }
}

fn read(rows: Vec<Row>) -> Result<Vec<Entry>> {
    rows.into_iter()
        .map(|row| {
            if !row.bool(4)? {
                return Err(Error::ReadOnly(
                    "the log is read from a server that takes no writes".into(),
                ));
            }
            let (id, nonce, kind, at) = (row.int(0)?, row.int(1)?, row.int(2)?, row.millis(3)?);
            let (now, floor) = (row.millis(5)?, row.opt_int(6)?.unwrap_or(0));
            let payload = Row(row.0.into_iter().skip(HEAD).collect());
            Ok(Entry {
                nonce,
                now,
                floor,
                row: LogRow {
                    id,
                    kind,
                    at,
                    row: payload,
                },
            })
        })
        .collect()
}
