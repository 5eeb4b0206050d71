//! `seawall namespace`: where repositories live.

use anyhow::Result;
use clap::{Args, Subcommand};
use seawall_kernel::catalog::grants;
use seawall_kernel::catalog::namespaces::{self, NamespaceSummary};
use seawall_types::NamespaceName;
use seawall_types::permission::NamespaceRole;

use super::{Common, Output};
use crate::desk::Desk;
use crate::terminal::Terminal;

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

impl NamespaceCommand {
    /// Does it.
    pub async fn run(&self, common: &Common, terminal: Terminal) -> Result<()> {
        Desk::work(common, terminal, async |desk| self.act(desk).await).await
    }

    async fn act(&self, desk: &Desk) -> Result<()> {
        match self {
            Self::List(output) => {
                let listed = namespaces::list(&desk.op, &desk.installation()?).await?;
                let head = ["NAME", "KIND", "OWNER", "CREATED"];
                desk.terminal.list(
                    *output,
                    &listed,
                    (&head, |namespace: &NamespaceSummary| {
                        let owner = namespace.owner.clone().unwrap_or_default();
                        let kind = namespace.kind.as_str().to_owned();
                        vec![
                            namespace.name.clone(),
                            kind,
                            owner,
                            namespace.created_at.to_string(),
                        ]
                    }),
                )?;
            }
            Self::Add(add) => {
                let installation = desk.installation()?;
                namespaces::create_organization(&desk.op, &installation, &add.name).await?;
                if let Some(owner) = &add.owner {
                    let namespace = desk.namespace(&add.name).await?;
                    let (owner, role) = (owner.as_str(), Some(NamespaceRole::Admin));
                    grants::on_namespace(&desk.op, &namespace, owner, role).await?;
                }
                desk.terminal
                    .say(format_args!("namespace {} added", add.name))?;
            }
            Self::Delete(delete) => {
                let question = format!("Delete {} and every repository in it?", delete.name);
                desk.confirm(delete.yes, &question)?;
                let namespace = desk.namespace(&delete.name).await?;
                namespaces::delete_organization(&desk.op, &namespace).await?;
                desk.terminal
                    .say(format_args!("namespace {} deleted", delete.name))?;
            }
        }
        Ok(())
    }
}
