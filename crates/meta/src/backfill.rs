//! Filling what a migration added, range of keys by range, while the program runs.
//!
//! A column or a table that a migration adds is empty, and filling a large one in a single
//! statement would hold locks and the log for as long as it takes. A [`Backfill`] does it in short
//! transactions, each of which records how far it has come, so that it goes on where it was
//! interrupted and is over for good when it is done. Until then the program must bear rows that are
//! not filled; and both releases that run side by side must fill what they write.

use sea_query::{Expr, ExprTrait as _, Query};

use crate::args::Arg;
use crate::bind::arg;
use crate::error::Result;
use crate::statement::Statement;
use crate::tx::Tx;
use crate::{args, row::Row};

/// One table to be filled, by its key.
#[derive(Debug, Clone, Copy)]
pub struct Backfill {
    /// Its name, never reused: `table.column`.
    pub name: &'static str,
    /// What the key is.
    pub key: BackfillKey,
    /// The last key of the next range, or null at the end. Arguments: key to begin after, how many
    /// rows.
    pub next: &'static Statement,
    /// Locks the rows of a range, where filling them depends on rows of other tables: what it asks
    /// afterwards is then newer than what others have committed to these. Arguments: key to begin
    /// after, last key.
    pub lock: Option<&'static Statement>,
    /// Fills a range; it may find rows that are filled already. Arguments: key to begin after, last
    /// key.
    pub fill: &'static Statement,
}

/// What kind of key a range is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackfillKey {
    /// An id from 1 on.
    Id,
    /// Bytes, as of a digest.
    Bytes,
}

crate::statements! {
    /// How far a backfill has come, for this transaction alone. Arguments: name.
    POSITION: |d| d.for_update(
        Query::select().columns(["position", "done_at"]).from("backfill")
            .and_where(Expr::col("name").eq(arg(0))),
    );
    /// Arguments: name.
    BEGIN: |d| d.insert_ignore(
        Query::insert().into_table("backfill").columns(["name"]).values_panic([arg(0)]),
        &["name"],
    );
    /// Arguments: name, position.
    ADVANCE: |_d| Query::update().table("backfill").value("position", arg(1))
        .and_where(Expr::col("name").eq(arg(0)));
    /// Arguments: name.
    FINISH: |d| Query::update().table("backfill").value("done_at", d.now())
        .and_where(Expr::col("name").eq(arg(0)));
}

impl Tx {
    /// Fills the next `rows` rows; says whether nothing is left to fill, now and for good.
    pub async fn backfill(&mut self, backfill: &Backfill, rows: u32) -> Result<bool> {
        let name = backfill.name;
        let mut booked = self.optional(&POSITION, args![name]).await?;
        if booked.is_none() {
            self.execute(&BEGIN, args![name]).await?;
            booked = self.optional(&POSITION, args![name]).await?;
        }
        let after = match &booked {
            Some(row) if row.opt_int(1)?.is_some() => return Ok(true),
            Some(row) => row.opt_bytes(0)?.map(<[u8]>::to_vec),
            None => None,
        };
        let from = backfill.key.argument(after.as_deref());
        let range = args![from.clone(), i64::from(rows)];
        let last = self.optional(backfill.next, range).await?;
        let Some(last) = last
            .map(|row| backfill.key.read(&row))
            .transpose()?
            .flatten()
        else {
            self.execute(&FINISH, args![name]).await?;
            return Ok(true);
        };
        let until = backfill.key.argument(Some(&last));
        if let Some(lock) = backfill.lock {
            self.all(lock, args![from.clone(), until.clone()]).await?;
        }
        self.execute(backfill.fill, args![from, until]).await?;
        self.execute(&ADVANCE, args![name, last]).await?;
        Ok(false)
    }
}

impl BackfillKey {
    fn argument(self, stored: Option<&[u8]>) -> Arg {
        match self {
            Self::Id => {
                let number = stored.and_then(|bytes| bytes.try_into().ok());
                Arg::from(number.map_or(0, i64::from_be_bytes))
            }
            Self::Bytes => Arg::from(stored.unwrap_or_default().to_vec()),
        }
    }

    fn read(self, row: &Row) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Self::Id => row.opt_int(0)?.map(|id| id.to_be_bytes().to_vec()),
            Self::Bytes => row.opt_bytes(0)?.map(<[u8]>::to_vec),
        })
    }
}
