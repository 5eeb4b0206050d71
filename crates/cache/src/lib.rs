//! The cache in process memory: it saves reads and never decides anything.
//!
//! A [`Cache`] holds values by key, bounded by bytes, and lets one caller load what many ask for.
//! What a value depends on is given when it is loaded, as [`Mark`]s in the one [`Coherence`] of the
//! process; a change invalidates the mark, and every value that was loaded before ends at that
//! moment, without a search for it. A cache that forgets everything changes the speed of an
//! answer and never the answer.
//!
//! Nothing here knows the database, the change log or a clock: the follower of the log invalidates
//! marks and says how far it has come, and every time is handed in.

mod cache;
mod coherence;
mod flight;
#[cfg(test)]
mod tests;

pub use cache::{Cache, LoadedValue, Lookup, MemorySize};
pub use coherence::{Coherence, FRESH, Mark, Position};
pub use flight::{FlightRole, FlightWaiter, Leader, SingleFlight};
