//! Bounded seats: so many at once, so many in line for a bounded time, and a permit for each.
//!
//! Everything in the process that has a maximum takes its permits here: the lanes of requests and
//! jobs, threads that hash, connections. A [`Limiter`] serves its line in the order of arrival. A
//! [`Permit`] is given back when it is dropped, wherever it was carried meanwhile.
//!
//! A limiter must never let more in than its maximum, and must never lose a permit when a caller
//! that waits is dropped. It knows no reason for a refusal but its own three ([`LimitError`]); what
//! a client gets to know of them is for the caller to say.

mod keyed;
mod limiter;
#[cfg(test)]
mod tests;

pub use keyed::{KeyedLimiter, KeyedPermit};
pub use limiter::{Limit, LimitError, Limiter, Permit, QueuePosition};
