//! What only Seawall takes part in: long lists, attacks, and the oracle.

use std::fmt::Write;
use std::time::Duration;

use crate::lists::{FEW, List, ListPage, slower};
use crate::results::Cell;
use crate::statistics::{median, percentile};
use crate::under_attack::{AttackPair, verdict as judged};

use super::table::{Table, figure, verdict};
use super::text::{ATTACKS, LISTS, ORACLE};
use super::{Report, percent, punctuality, said};

/// How much longer a page of a long list, or a pull beside an attack, may take.
const WORSE: f64 = 1.2;

/// Which share of the rate has to be kept beside an attack.
const KEPT: f64 = 0.99;

/// How far hidden and missing repositories may be told apart.
const DISTANCE: f64 = 0.1;
const SHORTER: f64 = 0.05;

/// A ratio that may grow to [`WORSE`]; without one, the goal is missed.
fn bounded(ratio: Option<f64>) -> String {
    let met = said(verdict(ratio.is_some_and(|ratio| ratio <= WORSE)));
    let shown = ratio.map_or_else(|| "n/a".to_owned(), |ratio| format!("{}x", figure(ratio)));
    format!("{shown} of at most {WORSE}x{met}")
}

impl Report<'_> {
    pub(super) fn parts(&self, text: &mut String) {
        let sections = [
            ("Long lists", self.lists(), LISTS),
            ("Pulls beside attackers", self.attacks(), ATTACKS),
            ("Hidden and missing repositories", self.oracle(), ORACLE),
        ];
        for (title, found, reading) in sections {
            if let Some(found) = found {
                let _ = write!(text, "\n## {title}\n\n{found}{reading}");
            }
        }
    }

    fn lists(&self) -> Option<String> {
        let mut table = Table::default();
        let (few, many) = (FEW.to_string(), self.options.many().to_string());
        table.head(["page of 100", "unit", &few, &many, "slower by, goal"]);
        for ((list, page), cells) in &self.results.pages {
            let list = match list {
                List::Tags => "tags",
                List::Catalog => "catalog",
            };
            let (page_title, unit) = match page {
                ListPage::Cold => ("the first after a start, in the middle", "ms"),
                ListPage::Start => ("at the beginning", "/s"),
                ListPage::Middle => ("in the middle", "/s"),
                ListPage::Anywhere => ("anywhere", "/s"),
            };
            let shown = |cell: &Cell| match cell {
                Cell::Failed(_) => "failed".to_owned(),
                cell => cell.median().map_or_else(|| "n/a".to_owned(), figure),
            };
            let ratio = slower(*page, cells);
            let ratio = match page {
                ListPage::Start | ListPage::Middle => bounded(ratio),
                _ => ratio.map_or_else(|| "n/a".to_owned(), |ratio| format!("{}x", figure(ratio))),
            };
            let [few, many] = cells;
            table.row([
                format!("{list}, {page_title}"),
                unit.to_owned(),
                shown(few),
                shown(many),
                ratio,
            ]);
        }
        (!self.results.pages.is_empty()).then(|| table.render())
    }

    fn attacks(&self) -> Option<String> {
        let found = &self.results.besieged;
        let mut table = Table::default();
        table.head([
            "attack",
            "done/s",
            "put off",
            "rate kept alone",
            "beside, goal",
            "p99 ms alone",
            "beside",
            "worse by, goal",
            "Seawall's MB",
        ]);
        let uploads = self.options.uploads().to_string();
        for (attack, pairs) in &found.pairs {
            let Some(judged) = judged(pairs) else {
                continue;
            };
            let middle = |of: fn(&AttackPair) -> f64| {
                median(&pairs.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
            };
            let memory: Vec<_> = pairs.iter().map(|pair| pair.memory / 1_000_000).collect();
            let most = memory.iter().max().copied().unwrap_or(0);
            let kept = judged.kept[1];
            table.row([
                attack.title().replace("{N}", &uploads),
                figure(middle(|pair| pair.done)),
                percent(middle(|pair| pair.put_off)),
                percent(judged.kept[0]),
                format!(
                    "{} of {:.0} %{}",
                    percent(kept),
                    KEPT * 100.0,
                    said(verdict(kept >= KEPT))
                ),
                figure(judged.tails[0]),
                figure(judged.tails[1]),
                bounded(Some(judged.worse)),
                most.to_string(),
            ]);
        }
        if found.pairs.is_empty() {
            return None;
        }
        let [opened, refused] = found.uploads;
        let mut text = table.render();
        let _ = write!(
            text,
            "\nThe same pulls in a closed loop: {}/s; the rate beside attackers is half of that, {}/s. \
             {opened} uploads were opened and forgotten beforehand, {refused} were refused.\n",
            found
                .pulls
                .median()
                .map_or_else(|| "n/a".to_owned(), figure),
            median(&found.rates).map_or_else(|| "n/a".to_owned(), figure),
        );
        Some(text)
    }

    /// Why pages of lists could not be measured, for the remarks.
    pub(super) fn failed_pages(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for ((list, page), cells) in &self.results.pages {
            for cell in cells {
                if let Cell::Failed(why) = cell {
                    lines.push(format!("* Seawall: {list:?}, {page:?} failed: {why}"));
                }
            }
        }
        lines
    }

    /// How punctual the pulls were, for the table of open loops.
    pub(super) fn attacks_punctuality(&self, table: &mut Table) {
        let rate = median(&self.results.besieged.rates).map_or_else(String::new, figure);
        for (attack, pairs) in &self.results.besieged.pairs {
            let alone: Vec<_> = pairs.iter().map(|pair| pair.alone).collect();
            let beside: Vec<_> = pairs.iter().map(|pair| pair.beside).collect();
            for (side, samples) in [("alone", alone), ("beside", beside)] {
                let mut cells = vec![format!("{attack:?}, {side}"), rate.clone()];
                cells.extend(punctuality(&samples));
                table.row(cells);
            }
        }
    }

    fn oracle(&self) -> Option<String> {
        let mut table = Table::default();
        table.head([
            "who asks, for what",
            "status",
            "hidden: quartiles µs",
            "missing: quartiles µs",
            "of each",
            "distance, goal",
            "hidden is shorter, goal",
        ]);
        for (case, timing) in &self.results.timings {
            let Some(found) = timing.overlap() else {
                continue;
            };
            let [hidden, missing] = &timing.times;
            let (near, even) = (
                found.distance <= DISTANCE,
                (found.shorter - 0.5).abs() <= SHORTER,
            );
            table.row([
                case.title().to_owned(),
                timing.status.as_u16().to_string(),
                quartiles(hidden),
                quartiles(missing),
                hidden.len().min(missing.len()).to_string(),
                format!(
                    "{:.3} of at most {DISTANCE}{}",
                    found.distance,
                    said(verdict(near))
                ),
                format!(
                    "{} of 50 ± {:.0} %{}",
                    percent(found.shorter),
                    SHORTER * 100.0,
                    said(verdict(even))
                ),
            ]);
        }
        (!self.results.timings.is_empty()).then(|| table.render())
    }
}

/// The quartiles in microseconds.
fn quartiles(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |per_mille| percentile(&sorted, per_mille).unwrap_or_default();
    let all = [250, 500, 750].map(|per_mille| figure(at(per_mille).as_secs_f64() * 1e6));
    all.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_more_is_the_most() {
        assert_eq!(bounded(Some(1.2)), "1.20x of at most 1.2x: met");
        assert_eq!(bounded(Some(1.21)), "1.21x of at most 1.2x: MISSED");
        assert_eq!(bounded(None), "n/a of at most 1.2x: MISSED");
    }

    #[test]
    fn quartiles_are_measured_times() {
        let times: Vec<_> = (1..=8).rev().map(Duration::from_micros).collect();
        assert_eq!(quartiles(&times), "2.00 / 4.00 / 6.00");
    }
}
