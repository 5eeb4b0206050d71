//! `seawall namespace`: where repositories live.

use anyhow::Result;
use clap::{Args, Subcommand};
use seawall_kernel::catalog::grants;
use seawall_kernel::catalog::namespaces::{self, NamespaceSummary};
use seawall_types::NamespaceName;
use seawall_types::permission::NamespaceRole;

use super::{CommonOptions, OutputOptions};
use crate::command_context::CommandContext;
use crate::terminal::Terminal;

/// Manage namespaces.
#[derive(Debug, Clone, Subcommand)]
pub enum NamespaceCommand {
    /// List the namespaces
    List(OutputOptions),
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
    pub async fn run(&self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        CommandContext::work(common, terminal, async |context| self.act(context).await).await
    }

    async fn act(&self, context: &CommandContext) -> Result<()> {
        match self {
            Self::List(output) => {
                let listed = namespaces::list(&context.op, &context.installation()?).await?;
                let head = ["NAME", "KIND", "OWNER", "CREATED"];
                context.terminal.list(
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
                let installation = context.installation()?;
                namespaces::create_organization(&context.op, &installation, &add.name).await?;
                if let Some(owner) = &add.owner {
                    let namespace = context.namespace(&add.name).await?;
                    let (owner, role) = (owner.as_str(), Some(NamespaceRole::Admin));
                    grants::on_namespace(&context.op, &namespace, owner, role).await?;
                }
                context
                    .terminal
                    .say(format_args!("namespace {} added", add.name))?;
            }
            Self::Delete(delete) => {
                let question = format!("Delete {} and every repository in it?", delete.name);
                context.confirm(delete.yes, &question)?;
                let namespace = context.namespace(&delete.name).await?;
                namespaces::delete_organization(&context.op, &namespace).await?;
                context
                    .terminal
                    .say(format_args!("namespace {} deleted", delete.name))?;
            }
        }
        Ok(())
    }
}
