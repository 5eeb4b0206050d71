//! Rules of this project that no compiler checks: who imports whom, where SQL may be, how long
//! things get.
//!
//! Each rule is a pure function of a path and a text, so that it can be shown to fail on a bad
//! sample; only [`tidy::tree`] touches the disk. Nothing here is part of the product, and no crate
//! of the product may depend on it.

pub mod tidy;
