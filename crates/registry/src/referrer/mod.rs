//! Referrers: what says of itself, by `subject`, that it is about a manifest (protocol §10).
//!
//! Every push records the subject, however the manifest came: by digest, by an ordinary tag, or by
//! a fallback tag `sha256-…`. So nothing is left to be taken up from fallback indexes that clients
//! write (§10.12): whatever they list with a valid subject was pushed here itself and is listed
//! already. An import of a foreign store goes through the same push.
//!
//! The descriptor by which a manifest is listed is made once, when it is pushed, so that a page
//! reads no manifest.

mod describe;
mod list;

pub(crate) use describe::describe;
pub(crate) use list::{ReferrerFilter, ReferrerPage, page};
