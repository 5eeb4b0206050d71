//! The tags of a repository, in pages (protocol §11.1–11.6).

use seawall_kernel::{Op, Repo};
use seawall_meta::args;
use seawall_types::Result;

use super::store;
use crate::acts::Describe;

/// A page of names, and whether there are more after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagPage {
    /// The names, in bytewise order.
    pub(crate) names: Vec<String>,
    /// Whether another page follows.
    pub(crate) more: bool,
}

/// Up to `limit` tags that sort after `last`, which need not exist. Costs what the page holds, not
/// what the repository holds.
pub(crate) async fn page(
    op: &Op,
    repo: &Repo<Describe>,
    last: &str,
    limit: u32,
) -> Result<TagPage> {
    if limit == 0 {
        return Ok(TagPage {
            names: Vec::new(),
            more: false,
        });
    }
    let arguments = args![repo.id(), last, i64::from(limit) + 1];
    let rows = op.sql().all(&store::LIST, arguments).await?;
    let page = rows.iter().take(limit as usize);
    let names = page.map(|row| row.string(0)).collect::<Result<_, _>>()?;
    Ok(TagPage {
        names,
        more: rows.len() > limit as usize,
    })
}
