//! Whether a page of a list costs what the page holds, or what the list holds: two Seawalls that
//! differ in nothing but the length of their lists.
//!
//! They are started anew in each round, so the first page of all is one that no cache of theirs
//! holds. Both have lists that were copied (see `store`), from a tag and a repository that were
//! pushed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;

use crate::connection::{Connection, Dialer};
use crate::content::{ContentMaker, INDEX, empty_index};
use crate::fixture::{CATALOG, Fixture, FixtureNeeds, PAGE, entries_of, prepare};
use crate::launch::{Program, RunningRegistry};
use crate::measure::{Bench, Sample, as_fast_as_possible};
use crate::output::note;
use crate::push::Pusher;
use crate::results::Cell;
use crate::steps::{ExpectedAnswer, Fetch};
use crate::store::multiply;
use crate::target::{BenchTarget, Login, scope};

/// How many entries the short lists have.
pub(crate) const FEW: usize = 1000;

/// How many different pages are asked for where they are asked for anywhere.
const ANYWHERE: usize = 2000;

/// The names of what is copied. Copies have even numbers, so odd ones name what is missing.
const FIRST_TAG: &str = "t0000000";
const FIRST_REPOSITORY: &str = "many/r0000000";

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    /// Tags of one repository.
    Tags,
    /// Repositories.
    Catalog,
}

/// Which page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListPage {
    /// The first that is asked for after a start, in the middle.
    Cold,
    /// The beginning.
    Start,
    /// The middle.
    Middle,
    /// Another place each time.
    Anywhere,
}

/// What was found: in the short list and in the long one.
pub(crate) type Pages = BTreeMap<(List, ListPage), [Cell; 2]>;

/// A data directory with lists of one length.
struct ListData {
    folder: PathBuf,
    number: usize,
    fixture: Fixture,
}

/// Both.
pub(crate) struct ListDataPair {
    program: Program,
    both: [ListData; 2],
    /// A user who may read nothing.
    pub(crate) stranger: Login,
}

/// A Seawall with lists of one length, running.
pub(crate) struct OpenLists {
    running: RunningRegistry,
    /// The same for those who ask it.
    pub(crate) target: Arc<BenchTarget>,
    /// How many entries its lists have.
    pub(crate) number: usize,
    /// The image in it.
    pub(crate) fixture: Fixture,
}

impl ListDataPair {
    /// Makes both, the long one with `many` entries.
    pub(crate) async fn prepare(
        program: &Program,
        folder: &Path,
        content: &Arc<ContentMaker>,
        many: usize,
    ) -> Result<Self> {
        let stranger = Login {
            user: "stranger".to_owned(),
            password: content.mark(),
        };
        let shelf = async |number: usize| {
            note(format_args!("preparing lists of {number}"));
            let folder = folder.join(format!("lists-{number}"));
            let running = program.start(&folder).await?;
            let fixture = fill(&running.target, content).await?;
            program.add_user(&folder, &stranger, false)?;
            running.process.stop().await;
            let names = [FIRST_TAG, FIRST_REPOSITORY];
            multiply(&folder.join("data/seawall.db"), number, names)?;
            anyhow::Ok(ListData {
                folder,
                number,
                fixture,
            })
        };
        Ok(Self {
            program: program.clone(),
            both: [shelf(FEW).await?, shelf(many).await?],
            stranger,
        })
    }

    /// Starts both.
    pub(crate) async fn open(&self) -> Result<[OpenLists; 2]> {
        let open = async |shelf: &ListData| {
            let running = self.program.start(&shelf.folder).await?;
            anyhow::Ok(OpenLists {
                target: Arc::new(running.target.clone()),
                running,
                number: shelf.number,
                fixture: shelf.fixture.clone(),
            })
        };
        let [few, many] = &self.both;
        Ok([open(few).await?, open(many).await?])
    }
}

/// Pushes what is to be copied, and an image.
async fn fill(target: &BenchTarget, content: &Arc<ContentMaker>) -> Result<Fixture> {
    let target = Arc::new(target.clone());
    for (name, tag) in [("tags", FIRST_TAG), (FIRST_REPOSITORY, "v1")] {
        let name = target.repository(name);
        let ticket = target.ticket_for(&name, "pull,push").await?;
        let mut pusher = Pusher::open(&target, ticket).await?;
        pusher.manifest(&name, tag, INDEX, empty_index()).await?;
    }
    prepare(&target, content, FixtureNeeds::default(), 0).await
}

/// The full name of the repository with this number; only even ones exist.
pub(crate) fn repository(target: &BenchTarget, number: usize) -> String {
    target.repository(&numbered(FIRST_REPOSITORY, number))
}

fn numbered(first: &str, number: usize) -> String {
    let stem = first.trim_end_matches('0');
    format!("{stem}{number:0width$}", width = first.len() - stem.len())
}

impl OpenLists {
    /// Ends it.
    pub(crate) async fn close(self) {
        self.running.process.stop().await;
    }

    /// The pages of a list behind these entries; the first page for none.
    async fn pages(&self, list: List, behind: &[Option<usize>]) -> Result<Vec<ExpectedAnswer>> {
        let target = &self.target;
        let tags = target.repository("tags");
        let (path, needed) = match list {
            List::Tags => (format!("/v2/{tags}/tags/list"), scope(&tags, "pull")),
            List::Catalog => ("/v2/_catalog".to_owned(), CATALOG.to_owned()),
        };
        let ticket = target.ticket(&[needed]).await?;
        let mut wanted = Vec::new();
        for entry in behind {
            let last = entry.map(|entry| match list {
                List::Tags => numbered(FIRST_TAG, 2 * entry),
                List::Catalog => repository(target, 2 * entry),
            });
            let last = last.map_or_else(String::new, |last| format!("&last={last}"));
            let ask = target.ask(Method::GET, format!("{path}?n={PAGE}{last}"))?;
            wanted.push(ExpectedAnswer::ok(ask.authorized(ticket.as_ref())));
        }
        Ok(wanted)
    }

    /// The pages that stand for a page, and where they begin.
    async fn wanted(&self, list: List, page: ListPage) -> Result<Vec<ExpectedAnswer>> {
        let behind = match page {
            ListPage::Cold | ListPage::Middle => vec![Some(self.number / 2)],
            ListPage::Start => vec![None],
            ListPage::Anywhere => {
                let places = 0..ANYWHERE;
                // A stride that shares no divisor with the length visits without an order.
                let most = self.number.saturating_sub(PAGE + 1).max(1);
                places.map(|n| Some(n * 611_953 % most)).collect()
            }
        };
        self.pages(list, &behind).await
    }

    /// The time of the first page in milliseconds, and whether it is the right one.
    async fn cold(&self, list: List) -> Result<Sample> {
        let wanted = self.wanted(list, ListPage::Cold).await?;
        let wanted = wanted.first().context("no page")?;
        let mut connection = Connection::open(&self.target.host).await?;
        let begun = SystemClock.elapsed();
        let answer = wanted.fetch(&mut connection, true).await?;
        let took = SystemClock.elapsed().saturating_sub(begun);
        let names = entries_of(&answer.body)?;
        let next = 2 * (self.number / 2) + 2;
        let first = match list {
            List::Tags => numbered(FIRST_TAG, next),
            List::Catalog => repository(&self.target, next),
        };
        ensure!(
            names.len() == PAGE && names.first() == Some(&first),
            "a page of {list:?} has {} names and begins with {:?} instead of {first}",
            names.len(),
            names.first()
        );
        Ok(Sample::plain(took.as_secs_f64() * 1e3))
    }

    async fn page(&self, bench: &Bench, list: List, page: ListPage) -> Result<Sample> {
        let wanted = self.wanted(list, page).await?;
        let door = Dialer::plain(&self.target.host);
        let steps = Fetch::clients(bench.clients, &door, wanted).await?;
        as_fast_as_possible(steps, bench.window, self.target.pid).await
    }
}

/// One round: each page in both lists, one right after the other.
pub(crate) async fn round(bench: &Bench, open: &[OpenLists; 2], round: usize, pages: &mut Pages) {
    for list in [List::Tags, List::Catalog] {
        for page in [
            ListPage::Cold,
            ListPage::Start,
            ListPage::Middle,
            ListPage::Anywhere,
        ] {
            let cells = pages.entry((list, page)).or_default();
            for turn in 0..2 {
                let place = (turn + round) % 2;
                let (Some(open), Some(cell)) = (open.get(place), cells.get_mut(place)) else {
                    continue;
                };
                cell.add(match page {
                    ListPage::Cold => open.cold(list).await.map(Some),
                    _ => open.page(bench, list, page).await.map(Some),
                });
                let (number, last) = (open.number, cell.last());
                note(format_args!("  {list:?} {page:?} of {number}: {last}"));
            }
        }
    }
}

/// How many times as long a page takes in the long list.
pub(crate) fn slower(page: ListPage, [few, many]: &[Cell; 2]) -> Option<f64> {
    let (few, many) = (few.median()?, many.median()?);
    let (over, under) = match page {
        ListPage::Cold => (many, few),
        _ => (few, many),
    };
    (under > 0.0).then(|| over / under)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: f64) -> Cell {
        Cell::Samples(vec![Sample::plain(value)])
    }

    #[test]
    fn a_long_list_is_slower_if_it_gives_fewer_pages_or_takes_more_time() {
        let rates = [cell(1000.0), cell(500.0)];
        assert_eq!(slower(ListPage::Middle, &rates), Some(2.0));
        assert_eq!(slower(ListPage::Cold, &rates), Some(0.5));
        assert_eq!(slower(ListPage::Start, &[cell(1.0), Cell::default()]), None);
    }

    #[test]
    fn names_are_counted_in_the_digits_that_they_have() {
        assert_eq!(numbered(FIRST_TAG, 1_999_998), "t1999998");
        assert_eq!(numbered(FIRST_REPOSITORY, 42), "many/r0000042");
    }
}
