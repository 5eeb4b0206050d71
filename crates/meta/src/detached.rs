//! Work in a task of its own, which comes to its end whatever becomes of its caller.

use std::future::Future;

use seawall_types::Tasks;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Runs work in a task of its own and waits for its answer; fails only if the work was dropped.
pub(crate) async fn detached<T: Send + 'static>(
    tasks: &Tasks,
    name: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    tasks.spawn(
        name,
        Box::pin(async move {
            let value = work.await;
            // The caller may have gone; the work is done all the same.
            drop(answer.send(value));
        }),
    );
    answered
        .await
        .map_err(|_| Error::Unavailable("the task was dropped before its end".into()))
}
