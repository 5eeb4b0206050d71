//! Every statement on notes. No policy.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::{Batch, arg, arg_limit};

seawall_meta::statements! {
    /// One that is there already stays. Arguments: repository, namespace, digest,
    /// words.
    NOTE_INSERT: |d| d.insert_ignore(
        Query::insert()
            .into_table("notes_note")
            .columns(["repository_id", "namespace_id", "digest", "words"])
            .values_panic([arg(0), arg(1), arg(2), arg(3)]),
        &["repository_id", "digest"],
    );

    /// Gives a namespace a board; one that is there already stays. Arguments: namespace, title.
    BOARD_INSERT: |d| d.insert_ignore(
        Query::insert()
            .into_table("notes_board")
            .columns(["namespace_id", "title"])
            .values_panic([arg(0), arg(1)]),
        &["namespace_id"],
    );

    /// Removes the board of a namespace. Arguments: namespace.
    BOARD_CLEAR: |_d| Query::delete()
        .from_table("notes_board")
        .and_where(Expr::col("namespace_id").eq(arg(0)))
        .to_owned();

    /// A page of the notes of a repository: digest, words, namespace. Arguments: repository, the
    /// digest before, limit.
    NOTE_PAGE: |_d| Query::select()
        .columns(["digest", "words", "namespace_id"])
        .from("notes_note")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").gt(arg(1)))
        .order_by("digest", Order::Asc)
        .limit(arg_limit(2))
        .to_owned();

    /// A page of the notes of all repositories behind one: digest, repository, namespace.
    /// Arguments: the repository before, limit.
    NOTE_BEHIND: |_d| Query::select()
        .columns(["digest", "repository_id", "namespace_id"])
        .from("notes_note")
        .and_where(Expr::col("repository_id").gt(arg(0)))
        .order_by("repository_id", Order::Asc)
        .order_by("digest", Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

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
