//! Every statement on notes. No policy.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::{Batch, arg, arg_limit};

seawall_meta::statements! {
    /// One that is there already stays. Arguments: repository, digest, words.
    NOTE_INSERT: |d| d.insert_ignore(
        Query::insert()
            .into_table("notes_note")
            .columns(["repository_id", "digest", "words"])
            .values_panic([arg(0), arg(1), arg(2)]),
        &["repository_id", "digest"],
    );

    /// The words of all notes of a repository. Arguments: repository, limit.
    NOTE_LIST: |_d| Query::select()
        .column("words")
        .from("notes_note")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .order_by("digest", Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

    /// Removes some notes of a repository. Arguments: repository, how many at most.
    NOTE_CLEAR: |d| {
        let batch = Batch {
            table: "notes_note",
            key: &["repository_id", "digest"],
            order: &["repository_id", "digest"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };
}
