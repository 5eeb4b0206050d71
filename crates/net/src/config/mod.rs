//! What listeners, connections and the end of the process can be set to. Each type is a section of
//! the configuration, with its documentation, defaults and ranges.

mod address;
mod limits;
mod listener;
mod shutdown;

pub use address::ListenAddress;
pub use limits::Limits;
pub use listener::{Listener, TlsFiles};
pub use shutdown::Shutdown;
