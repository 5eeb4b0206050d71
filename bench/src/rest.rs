//! Memory: of a server that has just been started, and of connections that do nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::PreparedRequest;
use crate::connection::{Connection, Dialer};
use crate::launch::{Program, RunningRegistry};
use crate::load::count;
use crate::process::resident;
use crate::rows::Protocol;
use crate::target::RegistryProduct;

/// How long a fresh server is left alone before it is looked at.
const REST: Duration = Duration::from_secs(5);

/// How long connections are left alone; shorter than any server waits for a request.
const IDLE: Duration = Duration::from_millis(1500);

/// How many connections are opened at once.
const OPENERS: usize = 16;

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResidentMemory {
    /// Of the fresh server.
    pub(crate) rest: f64,
    /// Per connection that has made one request, if there were any.
    pub(crate) connection: Option<f64>,
}

/// A registry, and what was found over one transport.
pub(crate) struct RestFindings {
    /// Which registry.
    pub(crate) kind: RegistryProduct,
    /// What was spoken.
    pub(crate) way: Protocol,
    /// What was found.
    pub(crate) memory: Result<ResidentMemory>,
}

/// Starts each program anew, with an empty store, and measures it; then ends it. Connections of
/// another kind get a server of their own, for memory that was used once is used again.
pub(crate) async fn measure(
    programs: &[Program],
    connections: usize,
    ways: &[Protocol],
    folder: &Path,
) -> Vec<RestFindings> {
    let mut started = Vec::new();
    for program in programs {
        for way in [Protocol::Plain, Protocol::Tls, Protocol::Two] {
            let is_asked = ways.contains(&way) && program.kind == RegistryProduct::Seawall;
            if way == Protocol::Plain || is_asked {
                let place = folder.join(format!("{}-{way:?}", program.name));
                let running = program.start_with(&place, way != Protocol::Plain).await;
                started.push((program.kind, way, running));
            }
        }
    }
    sleep(REST).await;
    let mut found = Vec::new();
    for (kind, way, running) in started {
        let number = ways.contains(&way).then_some(connections);
        let memory = match running {
            Ok(running) => {
                let memory = one(&running, way, number).await;
                running.process.stop().await;
                memory
            }
            Err(error) => Err(error),
        };
        found.push(RestFindings { kind, way, memory });
    }
    found
}

async fn one(
    running: &RunningRegistry,
    way: Protocol,
    connections: Option<usize>,
) -> Result<ResidentMemory> {
    let look = || {
        let bytes = resident(running.process.pid()).context("the registry has ended")?;
        anyhow::Ok(f64::from(u32::try_from(bytes >> 10)?) * 1024.0)
    };
    let rest = look()?;
    let Some(number) = connections else {
        return Ok(ResidentMemory {
            rest,
            connection: None,
        });
    };
    let door = running.target.door(way)?.context("no such transport")?;
    let ask = running.target.ask(Method::GET, "/v2/")?;
    let mut idle = open(number, &door, &ask).await?;
    sleep(IDLE).await;
    let each = (look()? - rest) / count(idle.len()).max(1.0);
    for connection in &mut idle {
        let answer = connection.send(&ask, false).await;
        answer.context("an idle connection was closed")?;
    }
    Ok(ResidentMemory {
        rest,
        connection: Some(each),
    })
}

/// So many connections that have each been spoken to once, whatever was answered.
async fn open(number: usize, door: &Dialer, ask: &PreparedRequest) -> Result<Vec<Connection>> {
    let mut running = JoinSet::new();
    for opener in 0..OPENERS {
        let (door, ask) = (door.clone(), ask.clone());
        running.spawn(async move {
            let mut opened = Vec::new();
            for _ in (opener..number).step_by(OPENERS) {
                let mut connection = Connection::through(&door).await?;
                connection.send(&ask, false).await?;
                opened.push(connection);
            }
            anyhow::Ok(opened)
        });
    }
    let mut all = Vec::with_capacity(number);
    while let Some(opened) = running.join_next().await {
        all.extend(opened??);
    }
    Ok(all)
}
