//! Whole lists for the operator's commands, read in pages: the list is as long as there are rows,
//! no statement is.

use seawall_meta::{Row, Statement, args};
use seawall_types::Result;

use crate::op::Op;

/// How many rows a statement reads at most.
const PAGE: u32 = 1000;

/// All rows of a statement that takes an id to begin after and a limit, and gives rows by id, which
/// is their first column.
pub(super) async fn all(op: &Op, statement: &'static Statement) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut after = 0;
    loop {
        let arguments = args![after, i64::from(PAGE)];
        let page = op.sql().all(statement, arguments).await?;
        let Some(last) = page.last() else {
            return Ok(rows);
        };
        after = last.int(0)?;
        rows.extend(page);
    }
}
