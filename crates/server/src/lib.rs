//! Seawall: configuration, composition, listeners, command line.
//!
//! This is the top ring: it reads the configuration, puts the other crates together and gives them
//! sockets. It decides nothing about names, permissions or content, and holds no SQL.

pub mod banner;
pub mod command;
pub mod command_context;
pub mod compose;
pub mod config;
pub mod first_password;
pub mod frontend;
pub mod health;
pub mod landing;
pub mod lock;
pub mod log;
pub mod memory;
pub mod ops;
pub mod proxy;
pub mod serve;
pub mod signals;
pub mod telemetry;
pub mod terminal;
pub mod verify;
