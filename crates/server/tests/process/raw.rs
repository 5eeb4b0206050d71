//! A client that speaks byte by byte, to stop in the middle of things.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seawall_testkit::Wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than any answer needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects, with a small receive buffer.
    pub(crate) async fn connect(wire: Wire) -> Self {
        Self(wire.connect_narrow().await.unwrap())
    }

    /// Sends the head of a request, as a user with a password.
    pub(crate) async fn head(&mut self, line: &str, (user, password): (&str, &str), more: &str) {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        let head = format!(
            "{line} HTTP/1.1\r\nHost: registry.test\r\nAuthorization: Basic {pair}\r\n{more}\r\n"
        );
        self.send(head.as_bytes()).await;
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.0.write_all(bytes))
            .await
            .unwrap()
            .unwrap();
    }

    /// Sends bytes as far as the server takes them.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        drop(timeout(PATIENCE, self.0.write_all(bytes)).await.unwrap());
    }

    /// Says that nothing more comes.
    pub(crate) async fn close_writing(&mut self) {
        // The server may have closed already.
        drop(self.0.shutdown().await);
    }

    /// Reads some of the answer, once: at least one byte.
    pub(crate) async fn some(&mut self) -> Vec<u8> {
        let mut piece = vec![0; 4096];
        let count = timeout(PATIENCE, self.0.read(&mut piece))
            .await
            .unwrap()
            .unwrap();
        assert!(count > 0, "the connection ended");
        piece.truncate(count);
        piece
    }

    /// Reads all that is left; says whether the connection ended well.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        let end = timeout(PATIENCE, self.0.read_to_end(&mut all))
            .await
            .unwrap();
        (all, end.is_ok())
    }
}

/// The bytes behind the head of an answer.
pub(crate) fn body(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    &answer[end.unwrap() + 4..]
}
