//! Statements as a reviewer reads them: their text in a dialect, broken into lines, with what is
//! bound in the place of each parameter.
//!
//! For snapshots and logs only. What is run is the text of [`Statement::text`], parameter for
//! parameter the same.

use crate::args::Arg;
use crate::bind::BoundValue;
use crate::dialect::SqlDialect;
use crate::error::Result;
use crate::statement::Statement;

/// Lines are not longer than this where they can be broken.
const WIDTH: usize = 96;

/// Words before which a line is broken.
const BREAKS: &[&str] = &[
    "SELECT ",
    "FROM ",
    "WHERE ",
    "AND ",
    "INNER JOIN ",
    "LEFT JOIN ",
    "JOIN ",
    "GROUP BY ",
    "HAVING ",
    "ORDER BY ",
    "LIMIT ",
    "FOR UPDATE",
    "LOCK IN ",
    "VALUES ",
    "SET ",
    "ON CONFLICT ",
    "ON DUPLICATE ",
    "RETURNING ",
    "UNION ",
];

impl Statement {
    /// The text in a dialect for readers, for one element if the statement is sized. `:0` is the
    /// first argument, `:1[0]` the first element of the second, `:shift` what tests shift the
    /// database's clock by; constants stand in their places.
    pub fn listing(&self, dialect: SqlDialect) -> Result<String> {
        let rendered = self.for_len(dialect, 0)?;
        let mut lines = Lines::default();
        let mut binds = rendered.binds.iter();
        let mut text = &*rendered.sql;
        while let Some(first) = text.chars().next() {
            let (piece, rest) = text.split_at(length(text, first, dialect));
            if is_parameter(piece, dialect) {
                // PostgreSQL's parameters are numbered in the order of their places, too.
                lines.push(&binds.next().map_or_else(|| "?".to_owned(), bound));
            } else {
                lines.piece(piece, rest);
            }
            text = rest;
        }
        Ok(lines.end())
    }
}

/// The length of what the text begins with: a quoted name or text, a word, or a single character.
fn length(text: &str, first: char, dialect: SqlDialect) -> usize {
    let quoted = |quote| text[1..].find(quote).map_or(text.len(), |end| end + 2);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    match first {
        '"' | '\'' | '`' => quoted(first),
        '$' if dialect == SqlDialect::Postgres => {
            let digits = text[1..].find(|c: char| !c.is_ascii_digit());
            digits.map_or(text.len(), |end| end + 1)
        }
        c if is_word(c) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        c => c.len_utf8(),
    }
}

fn is_parameter(piece: &str, dialect: SqlDialect) -> bool {
    match dialect {
        SqlDialect::Postgres => piece.len() > 1 && piece.starts_with('$'),
        SqlDialect::Sqlite | SqlDialect::Mysql => piece == "?",
    }
}

fn bound(bind: &BoundValue) -> String {
    match bind {
        BoundValue::Arg(number) => format!(":{number}"),
        BoundValue::Item(number, index) => format!(":{number}[{index}]"),
        BoundValue::Shift => ":shift".to_owned(),
        BoundValue::Constant(value) => constant(value),
    }
}

fn constant(value: &Arg) -> String {
    match value {
        Arg::Int(Some(value)) => value.to_string(),
        Arg::Text(Some(value)) => format!("'{value}'"),
        Arg::Bytes(Some(value)) => format!("{value:02x?}"),
        Arg::Int(None) | Arg::Text(None) | Arg::Bytes(None) => "NULL".to_owned(),
        Arg::List(values) => format!("{values:?}"),
    }
}

/// The lines so far.
#[derive(Default)]
struct Lines {
    text: String,
    line: String,
    /// For each open parenthesis, whether it holds a query of its own.
    open: Vec<bool>,
    /// `BETWEEN` was read, whose `AND` breaks no line.
    between: bool,
}

impl Lines {
    /// Adds a piece of the text, before `rest`.
    fn piece(&mut self, piece: &str, rest: &str) {
        match piece {
            "(" => self.open.push(rest.starts_with("SELECT ")),
            ")" => drop(self.open.pop()),
            "BETWEEN" => self.between = true,
            "AND" if self.between => {
                self.between = false;
                return self.push(piece);
            }
            _ => {}
        }
        let breaks = self.open.last().is_none_or(|query| *query)
            && BREAKS.iter().any(|word| {
                let Some(behind) = word.strip_prefix(piece) else {
                    return false;
                };
                rest.starts_with(behind)
            });
        // What goes with the word before it stays there.
        let joined = ["INNER ", "LEFT ", "FOR ", "DO ", "DELETE ", "INTO "];
        if breaks && !joined.iter().any(|word| self.line.ends_with(word)) {
            // Below the condition that it goes on.
            self.next_line(if piece == "AND" { 2 } else { 0 });
        }
        self.push(piece);
    }

    fn push(&mut self, piece: &str) {
        if piece == " " && self.line.len() >= WIDTH {
            return self.next_line(2);
        }
        if piece != " " || !self.line.trim().is_empty() {
            self.line.push_str(piece);
        }
    }

    fn next_line(&mut self, further: usize) {
        if !self.line.trim().is_empty() {
            self.text.push_str(self.line.trim_end());
            self.text.push('\n');
        }
        let depth = self.open.iter().filter(|query| **query).count();
        self.line = " ".repeat(2 * depth + further);
    }

    fn end(mut self) -> String {
        self.next_line(0);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use sea_query::{Expr, ExprTrait as _, Query};

    use super::*;
    use crate::bind::{arg, arg_limit};

    crate::statements! {
        PAGE: |d| Query::select().columns(["a", "b"]).from("t")
            .and_where(Expr::col("c").eq(arg(1))).and_where(Expr::col("d").between(arg(0), 7))
            .and_where(Expr::col("e").in_subquery(
                Query::select().column("f").from("u").and_where(Expr::col("g").eq("x")).take()))
            .and_where(Expr::col("at").lt(d.now())).limit(arg_limit(2));
    }

    #[test]
    fn a_listing_tells_what_is_bound_where() {
        let expected = [
            "SELECT \"a\", \"b\"",
            "FROM \"t\"",
            "WHERE \"c\" = :1",
            "  AND (\"d\" BETWEEN :0 AND 7)",
            "  AND \"e\" IN (",
            "  SELECT \"f\"",
            "  FROM \"u\"",
            "  WHERE \"g\" = 'x')",
            "",
        ]
        .join("\n");
        for dialect in [SqlDialect::Sqlite, SqlDialect::Postgres] {
            let listing = PAGE.listing(dialect).unwrap();
            assert!(listing.starts_with(&expected), "{listing}");
            assert!(listing.ends_with("+ :shift\nLIMIT :2\n"), "{listing}");
        }
        assert_eq!(ALL.len(), 1);
    }
}
