//! `seawall repo`: repositories and who can see them.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use seawall_kernel::catalog::repositories::{self, RepositorySummary};
use seawall_types::permission::Visibility;
use seawall_types::{NamespaceName, RepositoryName};

use super::{CommonOptions, OutputOptions};
use crate::command_context::CommandContext;
use crate::terminal::Terminal;

/// Manage repositories.
#[derive(Debug, Clone, Subcommand)]
pub enum RepoCommand {
    /// List repositories
    List(RepoList),
    /// Make a repository public or private
    Visibility(RepoVisibility),
    /// Delete a repository
    Delete(RepoDelete),
}

/// List repositories.
#[derive(Debug, Clone, Args)]
pub struct RepoList {
    /// Only those of this namespace
    pub namespace: Option<NamespaceName>,

    /// How to write the list.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Change a repository's visibility.
#[derive(Debug, Clone, Args)]
pub struct RepoVisibility {
    /// The repository
    pub name: RepositoryName,

    /// Who can pull
    #[arg(value_enum)]
    pub visibility: VisibilityWord,
}

/// Who can see a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VisibilityWord {
    /// All callers can pull.
    Public,
    /// Only users with a grant can pull.
    Private,
}

impl From<VisibilityWord> for Visibility {
    fn from(word: VisibilityWord) -> Self {
        match word {
            VisibilityWord::Public => Self::Public,
            VisibilityWord::Private => Self::Private,
        }
    }
}

/// Delete a repository.
#[derive(Debug, Clone, Args)]
pub struct RepoDelete {
    /// The repository
    pub name: RepositoryName,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

impl RepoCommand {
    /// Does it.
    pub async fn run(&self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        CommandContext::work(common, terminal, async |context| self.act(context).await).await
    }

    async fn act(&self, context: &CommandContext) -> Result<()> {
        match self {
            Self::List(list) => {
                let mut listed = repositories::list(&context.op, &context.installation()?).await?;
                if let Some(namespace) = &list.namespace {
                    let within = |name: &str| {
                        name.split_once('/')
                            .is_some_and(|(first, _)| first == namespace.as_str())
                    };
                    listed.retain(|repository| within(&repository.name));
                }
                let head = ["NAME", "VISIBILITY", "KIND", "STATE", "CREATED"];
                context.terminal.list(
                    list.output,
                    &listed,
                    (&head, |repository: &RepositorySummary| {
                        vec![
                            repository.name.clone(),
                            repository.visibility.as_str().to_owned(),
                            repository.kind.to_owned(),
                            repository.state.as_str().to_owned(),
                            repository.created_at.to_string(),
                        ]
                    }),
                )?;
            }
            Self::Visibility(change) => {
                let repo = context.repo(&change.name).await?;
                let visibility = Visibility::from(change.visibility);
                repositories::set_visibility(&context.op, &repo, visibility).await?;
                let words = visibility.as_str();
                context
                    .terminal
                    .say(format_args!("repository {} is {words}", change.name))?;
            }
            Self::Delete(delete) => {
                let repo = context.repo(&delete.name).await?;
                context.confirm(
                    delete.yes,
                    &format!("Delete {} with all its tags?", delete.name),
                )?;
                repositories::delete(&context.op, &repo).await?;
                context
                    .terminal
                    .say(format_args!("repository {} deleted", delete.name))?;
            }
        }
        Ok(())
    }
}
