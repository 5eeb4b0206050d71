//! The activity log: one row for each event, with ids and the names as they were.
//!
//! Events come at least once; a row that is there already stays, so hearing one again is harmless.

use seawall_kernel::Op;
use seawall_kernel::events::{Cause, Recorded};
use seawall_meta::{Arg, Args, list};
use seawall_types::Result;

use crate::store;

/// Writes `events` into the log.
pub(crate) async fn record(op: &Op, events: &[Recorded]) -> Result<()> {
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
fn columns(events: &[Recorded]) -> Args {
    Args(vec![
        list(events.iter().map(|event| event.at)),
        list(events.iter().map(|event| event.id)),
        list(events.iter().map(|event| event.event.kind.code())),
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
                .map(|event| cause(event).and_then(|cause| cause.id)),
        ),
        list(
            events
                .iter()
                .map(|event| text(cause(event), |cause| &cause.name)),
        ),
        list(
            events
                .iter()
                .map(|event| text(cause(event), |cause| &cause.kind)),
        ),
        list(
            events
                .iter()
                .map(|event| cause(event).and_then(|cause| cause.credential)),
        ),
        list(
            events
                .iter()
                .map(|event| Arg::from(cause(event).and_then(|c| c.address.clone()))),
        ),
        list(
            events
                .iter()
                .map(|event| text(cause(event), |cause| &cause.agent)),
        ),
        list(
            events
                .iter()
                .map(|event| text(cause(event), |cause| &cause.request_id)),
        ),
        list(events.iter().map(|event| event.event.detail.to_string())),
    ])
}

fn cause(event: &Recorded) -> Option<&Cause> {
    event.event.cause.as_ref()
}

fn text<T>(of: Option<&T>, what: impl Fn(&T) -> &String) -> Arg {
    Arg::from(of.map(|of| what(of).clone()))
}
