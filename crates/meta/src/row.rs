//! What comes back from a statement: a row of integers, text and bytes.
//!
//! Driver types end here. A store turns a row into its own types by position.

use seawall_types::digest::Digest;
use seawall_types::time::Millis;

use crate::error::{Error, Result};

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One row; columns are counted from 0 in the order of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Cell>);

impl Row {
    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?
            .ok_or_else(|| unexpected(column, "null"))
    }

    /// An integer or null.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Int(value) => Ok(Some(*value)),
            Cell::Text(_) | Cell::Bytes(_) => Err(unexpected(column, "not an integer")),
        }
    }

    /// A size or count: an integer that is not negative.
    pub fn size(&self, column: usize) -> Result<u64> {
        u64::try_from(self.int(column)?).map_err(|_| unexpected(column, "negative"))
    }

    /// A boolean: any integer but 0 is true.
    pub fn bool(&self, column: usize) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    /// A time.
    pub fn millis(&self, column: usize) -> Result<Millis> {
        Ok(Millis(self.int(column)?))
    }

    /// A time or null.
    pub fn opt_millis(&self, column: usize) -> Result<Option<Millis>> {
        Ok(self.opt_int(column)?.map(Millis))
    }

    /// An id of any kind.
    pub fn id<T: From<i64>>(&self, column: usize) -> Result<T> {
        Ok(T::from(self.int(column)?))
    }

    /// An id of any kind, or null.
    pub fn opt_id<T: From<i64>>(&self, column: usize) -> Result<Option<T>> {
        Ok(self.opt_int(column)?.map(T::from))
    }

    /// Text.
    pub fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?
            .ok_or_else(|| unexpected(column, "null"))
    }

    /// Text or null.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Text(value) => Ok(Some(value)),
            // MariaDB keeps names as bytes, so that they compare as bytes.
            Cell::Bytes(value) => std::str::from_utf8(value)
                .map(Some)
                .map_err(|_| unexpected(column, "not UTF-8")),
            Cell::Int(_) => Err(unexpected(column, "not text")),
        }
    }

    /// Text as a string of its own.
    pub fn string(&self, column: usize) -> Result<String> {
        self.text(column).map(str::to_owned)
    }

    /// Text as a string of its own, or null.
    pub fn opt_string(&self, column: usize) -> Result<Option<String>> {
        Ok(self.opt_text(column)?.map(str::to_owned))
    }

    /// Bytes.
    pub fn bytes(&self, column: usize) -> Result<&[u8]> {
        self.opt_bytes(column)?
            .ok_or_else(|| unexpected(column, "null"))
    }

    /// Bytes or null.
    pub fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Bytes(value) => Ok(Some(value)),
            Cell::Text(value) => Ok(Some(value.as_bytes())),
            Cell::Int(_) => Err(unexpected(column, "not bytes")),
        }
    }

    /// Bytes, moved out of the row without a copy; the column is null afterwards.
    pub fn take_bytes(&mut self, column: usize) -> Result<Vec<u8>> {
        let cell = self
            .0
            .get_mut(column)
            .ok_or_else(|| unexpected(column, "missing"))?;
        match std::mem::replace(cell, Cell::Null) {
            Cell::Bytes(value) => Ok(value),
            Cell::Text(value) => Ok(value.into_bytes()),
            Cell::Null => Err(unexpected(column, "null")),
            Cell::Int(_) => Err(unexpected(column, "not bytes")),
        }
    }

    /// A digest, stored as algorithm byte and raw hash.
    pub fn digest(&self, column: usize) -> Result<Digest> {
        Digest::from_bytes(self.bytes(column)?).map_err(|_| unexpected(column, "not a digest"))
    }

    /// A digest or null.
    pub fn opt_digest(&self, column: usize) -> Result<Option<Digest>> {
        self.opt_bytes(column)?
            .map(|bytes| Digest::from_bytes(bytes).map_err(|_| unexpected(column, "not a digest")))
            .transpose()
    }

    fn cell(&self, column: usize) -> Result<&Cell> {
        self.0
            .get(column)
            .ok_or_else(|| unexpected(column, "missing"))
    }
}

fn unexpected(column: usize, what: &str) -> Error {
    Error::Decode(format!("column {column} is {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_by_type_and_refuses_the_wrong_one() {
        let mut row = Row(vec![
            Cell::Int(7),
            Cell::Text("a".into()),
            Cell::Bytes(vec![98]),
            Cell::Null,
        ]);
        assert_eq!(row.int(0).unwrap(), 7);
        assert!(row.bool(0).unwrap());
        assert_eq!(row.text(1).unwrap(), "a");
        assert_eq!(row.text(2).unwrap(), "b");
        assert_eq!(row.opt_int(3).unwrap(), None);
        assert!(row.int(3).is_err());
        assert!(row.int(1).is_err());
        assert!(row.text(0).is_err());
        assert!(row.int(4).is_err());
        assert_eq!(row.take_bytes(2).unwrap(), vec![98]);
    }
}
