//! Facts after the act: written in the transaction that caused them, delivered at least once.
//!
//! An event carries a payload of its type, which the crate that emits it declares, ids and the
//! names as they were, who acted, from where. Each consumer has a leased, fenced cursor of its own
//! and is idempotent by event id. A failing consumer never fails or delays the request that caused
//! the event, and one that is switched off holds up no pruning. What must not cost a write at all
//! (a pull) is told to [`PullWatchers`] instead.

mod delivery;
mod event;
pub mod kind;
pub mod store;
mod watch;

pub(crate) use delivery::register;
pub use delivery::{BATCH, Consumer, delivered_to_all, run};
#[cfg(test)]
pub(crate) use delivery::{DeliveryEnd, hold};
pub use event::{Event, EventOrigin, NamedId, RecordedEvent};
pub use kind::{EventDeclaration, EventKind, EventType, EventTypes};
pub use watch::{PullClient, PullNotice, PullWatcher, PullWatchers};

use seawall_meta::{Expectation, Tx, args};
use seawall_types::{Error, Result};

use crate::op::Op;

impl Op {
    /// Writes `event` in `tx`, with this operation as its origin.
    pub async fn emit(&self, tx: &mut Tx, event: Event) -> Result<()> {
        let (nonce, kind, payload) = self.written(event)?;
        let arguments = args![nonce, kind, payload];
        tx.send(&store::EVENT_INSERT, arguments, Expectation::Nothing)
            .await?;
        Ok(())
    }

    /// Writes `events` in `tx`, in their order, every two by one statement.
    pub async fn emit_all(&self, tx: &mut Tx, events: Vec<Event>) -> Result<()> {
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            let Some(next) = events.next() else {
                return self.emit(tx, event).await;
            };
            let (one, two) = (self.written(event)?, self.written(next)?);
            let arguments = args![one.0, one.1, one.2, two.0, two.1, two.2];
            tx.send(&store::EVENT_INSERT_TWO, arguments, Expectation::Nothing)
                .await?;
        }
        Ok(())
    }

    /// An event's nonce, kind and stored form, with this operation as its origin.
    fn written(&self, mut event: Event) -> Result<(i64, i64, String)> {
        let kind = event.kind();
        if self.kernel().event_types().find(kind.number()) != Some(kind) {
            // Written, it would stop every consumer of this process for a day.
            let words = format!("no crate declares the event {}", kind.name());
            return Err(Error::internal(words));
        }
        event.origin = Some(self.event_origin());
        let mut nonce = [0u8; 8];
        self.kernel().random().fill(&mut nonce);
        Ok((i64::from_le_bytes(nonce), kind.number(), event.to_json()?))
    }

    fn event_origin(&self) -> EventOrigin {
        let identity = self.actor().identity();
        EventOrigin {
            id: identity.map(|identity| identity.id.get()),
            name: self.actor().name().to_owned(),
            kind: identity
                .map_or("operator", |identity| identity.kind.as_str())
                .to_owned(),
            credential: identity.map(|identity| identity.credential.get()),
            address: self.origin().address.map(|address| address.to_string()),
            agent: self.origin().agent.clone(),
            request_id: self.origin().request_id.clone(),
        }
    }
}
