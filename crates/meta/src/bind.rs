//! Placeholders and what is bound in their places.
//!
//! While a statement is built, an argument is stood for by a number that no constant of ours is
//! near. Rendering finds these numbers among the values that sea-query has collected, wherever the
//! text has put them, and turns each into a [`BoundValue`]. A caller's value is never part of a
//! text.

use sea_query::{Expr, Value};

use crate::args::{Arg, Args};

/// Values at and above this one stand for arguments until the statement is rendered.
const MARK: i64 = 0x5EA0_0000_0000_0000;
const MARK_END: i64 = MARK + (1 << 32);
/// Stands for the shift of the database's clock.
pub(crate) const SHIFT: i64 = MARK_END;

/// The `number`-th argument of the execution, counted from 0. May be used several times and in any
/// order.
pub fn arg(number: u8) -> Expr {
    Expr::val(MARK + (i64::from(number) << 16))
}

/// The `index`-th element of list argument `number`, in a sized statement.
pub fn item(number: u8, index: usize) -> Expr {
    Expr::val(MARK + (i64::from(number) << 16) + 1 + i64::try_from(index).unwrap_or(0))
}

/// The `number`-th argument where sea-query wants a number: `.limit(arg_limit(2))`, `.offset(…)`.
pub fn arg_limit(number: u8) -> u64 {
    MARK.unsigned_abs() + (u64::from(number) << 16)
}

/// One bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BoundValue {
    Arg(usize),
    Item(usize, usize),
    Shift,
    Constant(Arg),
}

impl BoundValue {
    /// The value to bind, `None` when the caller passed too few arguments or one of the wrong
    /// shape.
    pub(crate) fn value<'a>(&'a self, args: &'a Args, shift: &'a Arg) -> Option<&'a Arg> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Shift => Some(shift),
            Self::Arg(number) => args.0.get(*number).filter(|v| !matches!(v, Arg::List(_))),
            // A short list is padded by its last element.
            Self::Item(number, index) => match args.0.get(*number) {
                Some(Arg::List(values)) => values.get(*index).or(values.last()),
                _ => None,
            },
        }
    }
}

/// What a value that sea-query has collected stands for.
pub(crate) fn bind(value: Value) -> Result<BoundValue, String> {
    let constant = match value {
        Value::BigInt(Some(SHIFT)) => return Ok(BoundValue::Shift),
        Value::BigInt(Some(mark)) if (MARK..MARK_END).contains(&mark) => {
            return Ok(marked(mark - MARK));
        }
        Value::BigUnsigned(Some(mark))
            if (MARK.unsigned_abs()..MARK_END.unsigned_abs()).contains(&mark) =>
        {
            return Ok(marked((mark - MARK.unsigned_abs()).cast_signed()));
        }
        Value::Bool(value) => Arg::from(value),
        Value::TinyInt(value) => Arg::Int(value.map(i64::from)),
        Value::SmallInt(value) => Arg::Int(value.map(i64::from)),
        Value::Int(value) => Arg::from(value),
        Value::BigInt(value) => Arg::from(value),
        Value::TinyUnsigned(value) => Arg::from(value),
        Value::SmallUnsigned(value) => Arg::Int(value.map(i64::from)),
        Value::Unsigned(value) => Arg::from(value),
        Value::BigUnsigned(value) => Arg::from(value),
        Value::String(value) => Arg::from(value),
        Value::Char(value) => Arg::Text(value.map(String::from)),
        Value::Bytes(value) => Arg::from(value),
        other => return Err(format!("constant of unsupported type {other:?}")),
    };
    Ok(BoundValue::Constant(constant))
}

fn marked(offset: i64) -> BoundValue {
    let number = usize::try_from(offset >> 16).unwrap_or(usize::MAX);
    match usize::try_from(offset & 0xFFFF).unwrap_or(0) {
        0 => BoundValue::Arg(number),
        index => BoundValue::Item(number, index - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list;

    #[test]
    fn missing_arguments_are_noticed() {
        let shift = Arg::from(0);
        assert_eq!(BoundValue::Arg(2).value(&crate::args![1_i64], &shift), None);
        let listed = crate::args![list([1_i64])];
        assert_eq!(BoundValue::Arg(0).value(&listed, &shift), None);
    }
}
