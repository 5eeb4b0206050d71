//! `seawall serve`: the arguments; what happens then is in [`crate::serve`].

use clap::Args;

use crate::config::ListenAddress;

/// Run the registry until SIGTERM or Ctrl-C.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeCommand {
    /// The address to listen on, whatever the configuration says, such as 0.0.0.0:5000
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<ListenAddress>,
}
