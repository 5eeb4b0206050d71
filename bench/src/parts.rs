//! The parts that only Seawall takes part in, and the servers that they need.
//!
//! What cannot be prepared or measured fails its own part and nothing else.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::content::ContentMaker;
use crate::launch::Program;
use crate::lists::{self, ListDataPair};
use crate::measure::Bench;
use crate::options::Options;
use crate::results::Results;
use crate::rows::{BenchPlan, Part};
use crate::timing_leak;
use crate::under_attack::AttackTables;

/// What the parts need.
pub(crate) struct BenchParts<'a> {
    options: &'a Options,
    plan: &'a BenchPlan,
    shelves: Option<ListDataPair>,
    siege: Option<AttackTables>,
}

impl<'a> BenchParts<'a> {
    /// Prepares what the plan asks for, with data in the folder.
    pub(crate) async fn prepare(
        program: &Program,
        plan: &'a BenchPlan,
        options: &'a Options,
        (folder, content): (&Path, &Arc<ContentMaker>),
        results: &mut Results,
    ) -> Self {
        let mut parts = Self {
            options,
            plan,
            shelves: None,
            siege: None,
        };
        if plan.has(Part::Lists) || plan.has(Part::Oracle) {
            match ListDataPair::prepare(program, folder, content, options.many()).await {
                Ok(shelves) => parts.shelves = Some(shelves),
                Err(error) => results.fail(Part::Lists, &error),
            }
        }
        if plan.has(Part::Attacks) {
            match AttackTables::prepare(program, folder, content, options.uploads()).await {
                Ok(siege) => parts.siege = Some(siege),
                Err(error) => results.fail(Part::Attacks, &error),
            }
        }
        parts
    }

    /// One round of each.
    pub(crate) async fn round(&self, bench: &Bench, round: usize, results: &mut Results) {
        if let Some(shelves) = &self.shelves
            && let Err(error) = self.read(shelves, bench, round, results).await
        {
            results.fail(Part::Lists, &error);
        }
        if let Some(siege) = &self.siege
            && let Err(error) = siege.round(bench, round, &mut results.besieged).await
        {
            results.fail(Part::Attacks, &error);
        }
    }

    async fn read(
        &self,
        shelves: &ListDataPair,
        bench: &Bench,
        round: usize,
        results: &mut Results,
    ) -> Result<()> {
        let open = shelves.open().await?;
        if self.plan.has(Part::Lists) {
            lists::round(bench, &open, round, &mut results.pages).await;
        }
        let [few, many] = open;
        few.close().await;
        if self.plan.has(Part::Oracle) {
            let number = self.options.timings();
            let timings = &mut results.timings;
            let timed = timing_leak::round(&many, &shelves.stranger, number, timings).await;
            if let Err(error) = timed {
                results.fail(Part::Oracle, &error);
            }
        }
        many.close().await;
        Ok(())
    }

    /// Ends the servers that are still there.
    pub(crate) async fn end(self) {
        if let Some(siege) = self.siege {
            siege.end().await;
        }
    }
}
