//! `seawall verify`: the arguments.

use clap::Args;

use super::Output;

/// Check that every blob is there and is what its digest says.
///
/// Works beside a running server and changes nothing. The exit code is 1 if damage was found.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Verify {
    /// Read every blob and compute its digest, rather than only looking at names and sizes
    #[arg(long)]
    pub rehash: bool,

    /// How to write what was found.
    #[command(flatten)]
    pub output: Output,
}
