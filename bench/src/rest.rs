//! Memory: of a server that has just been started, and of connections that do nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use tokio::time::sleep;

use crate::client::Connection;
use crate::launch::{Program, Running};
use crate::process::resident;

/// How long a fresh server is left alone before it is looked at.
const REST: Duration = Duration::from_secs(2);

/// How long connections are left alone; shorter than any server waits for a request.
const IDLE: Duration = Duration::from_millis(1500);

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Of the fresh server.
    pub(crate) rest: f64,
    /// Per connection that has made one request.
    pub(crate) connection: Option<f64>,
}

/// Starts each program anew, with an empty store, and measures it; then ends it.
pub(crate) async fn measure(
    programs: &[Program],
    connections: Option<usize>,
    folder: &Path,
) -> Vec<Result<Memory>> {
    let mut started = Vec::new();
    for program in programs {
        started.push(program.start(&folder.join(program.name)).await);
    }
    sleep(REST).await;
    let mut found = Vec::new();
    for running in started {
        found.push(match running {
            Ok(running) => {
                let memory = one(&running, connections).await;
                running.process.stop().await;
                memory
            }
            Err(error) => Err(error),
        });
    }
    found
}

async fn one(running: &Running, connections: Option<usize>) -> Result<Memory> {
    let look = || {
        let bytes = resident(running.process.pid()).context("the registry has ended")?;
        anyhow::Ok(f64::from(u32::try_from(bytes >> 10)?) * 1024.0)
    };
    let rest = look()?;
    let Some(number) = connections else {
        return Ok(Memory {
            rest,
            connection: None,
        });
    };
    let ask = running.target.ask(Method::GET, "/v2/")?;
    let mut idle = Vec::with_capacity(number);
    for _ in 0..number {
        let mut connection = Connection::open(&running.target.host).await?;
        // Whatever it answers: it has been spoken to.
        connection.send(&ask, false).await?;
        idle.push(connection);
    }
    sleep(IDLE).await;
    let each = (look()? - rest) / f64::from(u32::try_from(number)?.max(1));
    for connection in &mut idle {
        connection
            .send(&ask, false)
            .await
            .context("an idle connection was closed")?;
    }
    Ok(Memory {
        rest,
        connection: Some(each),
    })
}
