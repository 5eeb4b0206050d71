//! Signals of the process as phases of its lifecycle.

use seawall_net::lifecycle::{Lifecycle, Phase};
use tokio::signal::unix::{SignalKind, signal};

/// Turns signals into phases, until the process ends: the first SIGTERM or SIGINT stops, the second
/// aborts, SIGHUP reloads.
pub async fn follow(lifecycle: Lifecycle) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hangup.recv() => {
                tracing::info!("SIGHUP: files are read again");
                lifecycle.reload();
                continue;
            }
            () = lifecycle.reached(Phase::Closed) => return Ok(()),
        };
        if lifecycle.phase() == Phase::Running {
            tracing::info!(
                "{name}: stopping when what runs has ended; a second signal stops at once"
            );
            lifecycle.stop();
        } else {
            tracing::warn!("{name} again: stopping at once");
            lifecycle.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_become_phases() {
        let lifecycle = Lifecycle::new();
        let mut following = Box::pin(follow(lifecycle.clone()));
        // The first poll takes the signals over from the system, which would end the process.
        assert!(futures::poll!(&mut following).is_pending());
        let mut expect = async |signal, phase| {
            rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
            tokio::select! {
                ended = &mut following => ended.unwrap(),
                () = lifecycle.reached(phase) => {}
            }
        };
        expect(rustix::process::Signal::TERM, Phase::Unready).await;
        expect(rustix::process::Signal::INT, Phase::Closed).await;
    }
}
