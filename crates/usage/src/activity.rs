//! The activity log: one row for each event, with ids and the names as they were.
//!
//! Events come at least once; a row that is there already stays, so hearing one again is harmless.

use seawall_kernel::Op;
use seawall_kernel::events::{EventOrigin, RecordedEvent};
use seawall_meta::{Arg, Args, list};
use seawall_types::Result;

use crate::store;

/// Writes `events` into the log.
pub(crate) async fn record(op: &Op, events: &[RecordedEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    op.transaction(columns(events), |tx, _op, columns| {
        Box::pin(async move {
            tx.execute(&store::ACTIVITY_INSERT, columns.clone()).await?;
            Ok(())
        })
    })
    .await
}

/// The lists that the statement takes.
fn columns(events: &[RecordedEvent]) -> Args {
    Args(vec![
        list(events.iter().map(|event| event.at)),
        list(events.iter().map(|event| event.id)),
        list(events.iter().map(|event| event.event.kind().number())),
        list(
            events
                .iter()
                .map(|event| event.event.namespace.as_ref().map(|place| place.id)),
        ),
        list(
            events
                .iter()
                .map(|event| text(event.event.namespace.as_ref(), |place| &place.name)),
        ),
        list(
            events
                .iter()
                .map(|event| event.event.repository.as_ref().map(|place| place.id)),
        ),
        list(
            events
                .iter()
                .map(|event| text(event.event.repository.as_ref(), |place| &place.name)),
        ),
        list(
            events
                .iter()
                .map(|event| origin(event).and_then(|origin| origin.id)),
        ),
        list(
            events
                .iter()
                .map(|event| text(origin(event), |origin| &origin.name)),
        ),
        list(
            events
                .iter()
                .map(|event| text(origin(event), |origin| &origin.kind)),
        ),
        list(
            events
                .iter()
                .map(|event| origin(event).and_then(|origin| origin.credential)),
        ),
        list(
            events
                .iter()
                .map(|event| Arg::from(origin(event).and_then(|c| c.address.clone()))),
        ),
        list(
            events
                .iter()
                .map(|event| text(origin(event), |origin| &origin.agent)),
        ),
        list(
            events
                .iter()
                .map(|event| text(origin(event), |origin| &origin.request_id)),
        ),
        list(events.iter().map(|event| event.event.payload().to_string())),
    ])
}

fn origin(event: &RecordedEvent) -> Option<&EventOrigin> {
    event.event.origin.as_ref()
}

fn text<T>(of: Option<&T>, what: impl Fn(&T) -> &String) -> Arg {
    Arg::from(of.map(|of| what(of).clone()))
}
