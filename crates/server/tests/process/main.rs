//! Stories of operators: the binary itself as a process, with its sockets, signals, files and
//! commands.
//!
//! What the protocol says is tested in process, in the other binary; here is what only a process
//! has. `SEAWALL_TEST_DB` says on which database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod configuration;
mod damage;
mod disks;
mod listeners;
mod memory;
mod observing;
mod raw;
mod schema;
mod silence;
mod sockets;
mod start;
mod stop;
mod store;
mod tls;
mod visible;

use seawall_testkit::Site;

/// The binary.
const BINARY: &str = env!("CARGO_BIN_EXE_seawall");

/// The password of users that a story makes.
const PASSWORD: &str = "correct horse battery staple";

/// A directory and a database that are ready for a server.
async fn site() -> Site {
    Site::new(BINARY).await
}

/// Makes a user beside the server.
async fn add_user(site: &Site, name: &str) {
    let add = ["user", "add", name, "--password-stdin"];
    site.run_with(&add, &format!("{PASSWORD}\n"))
        .await
        .expect(0);
}
