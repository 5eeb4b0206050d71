//! `seawall namespace`: the arguments.

use clap::{Args, Subcommand};
use seawall_types::NamespaceName;

use super::Output;

/// Manage namespaces.
#[derive(Debug, Clone, Subcommand)]
pub enum NamespaceCommand {
    /// List the namespaces
    List(Output),
    /// Add a namespace that is no user's: an organization
    Add(NamespaceAdd),
    /// Delete a namespace with all its repositories
    Delete(NamespaceDelete),
}

/// Add a namespace.
#[derive(Debug, Clone, Args)]
pub struct NamespaceAdd {
    /// The name
    pub name: NamespaceName,

    /// A user who shall administer it
    #[arg(long, value_name = "USER")]
    pub owner: Option<NamespaceName>,
}

/// Delete a namespace.
#[derive(Debug, Clone, Args)]
pub struct NamespaceDelete {
    /// The namespace
    pub name: NamespaceName,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
