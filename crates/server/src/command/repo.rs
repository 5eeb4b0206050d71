//! `seawall repo`: the arguments.

use clap::{Args, Subcommand, ValueEnum};
use seawall_types::permission::Visibility;
use seawall_types::{NamespaceName, RepositoryName};

use super::Output;

/// Manage repositories.
#[derive(Debug, Clone, Subcommand)]
pub enum RepoCommand {
    /// List repositories
    List(RepoList),
    /// Let everybody pull from a repository, or only those who were granted it
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
    pub output: Output,
}

/// Change a repository's visibility.
#[derive(Debug, Clone, Args)]
pub struct RepoVisibility {
    /// The repository
    pub name: RepositoryName,

    /// What it shall be
    #[arg(value_enum)]
    pub visibility: VisibilityWord,
}

/// Who can see a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VisibilityWord {
    /// Everybody can pull.
    Public,
    /// Only who was granted it can pull.
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
