//! `seawall grant`: a grant is on a repository (read, write, admin) or on a namespace (creator,
//! admin).

use anyhow::{Result, bail};
use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand, ValueEnum};
use seawall_kernel::catalog::grants;
use seawall_types::permission::{NamespaceRole, Role};
use seawall_types::{NamespaceName, RepositoryName};

use super::{CommonOptions, OutputOptions};
use crate::command_context::CommandContext;
use crate::terminal::Terminal;

/// Manage grants: who may do what.
#[derive(Debug, Clone, Subcommand)]
pub enum GrantCommand {
    /// Grant a user a role; a grant that is there already is changed
    Add(GrantAdd),
    /// Take a user's grant away
    Remove(GrantRemove),
    /// List the grants on a repository or a namespace
    List(GrantList),
}

/// Grant a role.
#[derive(Debug, Clone)]
pub struct GrantAdd {
    /// Who gets it.
    pub user: NamespaceName,
    /// What it is and where.
    pub grant: RoleGrant,
}

/// A role with the place where it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleGrant {
    /// On a repository.
    Repository(RepositoryName, Role),
    /// On a namespace.
    Namespace(NamespaceName, NamespaceRole),
}

/// The arguments of `grant add` as they are written; [`GrantAdd`] is what they mean together.
#[derive(Debug, Clone, Args)]
struct GrantAddWords {
    /// The user
    user: NamespaceName,

    /// The role: read, write or admin on a repository; creator or admin on a namespace
    #[arg(value_enum)]
    role: RoleWord,

    /// Where it holds.
    #[command(flatten)]
    place: GrantPlace,
}

/// All roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoleWord {
    Read,
    Write,
    Admin,
    Creator,
}

impl ValueEnum for RoleWord {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Read, Self::Write, Self::Admin, Self::Creator]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Read => PossibleValue::new("read").help("Pull"),
            Self::Write => {
                PossibleValue::new("write").help("Pull, push and delete tags and manifests")
            }
            Self::Admin => PossibleValue::new("admin").help("Everything, with the grants"),
            Self::Creator => PossibleValue::new("creator").help("Make repositories in a namespace"),
        })
    }
}

impl TryFrom<GrantAddWords> for GrantAdd {
    type Error = clap::Error;

    fn try_from(words: GrantAddWords) -> Result<Self, clap::Error> {
        let refuse = |text: &str| clap::Error::raw(ErrorKind::ValueValidation, text);
        let grant = match (words.place.repository, words.place.namespace) {
            (Some(repository), None) => {
                let role = match words.role {
                    RoleWord::Read => Role::Read,
                    RoleWord::Write => Role::Write,
                    RoleWord::Admin => Role::Admin,
                    RoleWord::Creator => {
                        return Err(refuse(
                            "the role creator is granted on a namespace (--namespace)",
                        ));
                    }
                };
                RoleGrant::Repository(repository, role)
            }
            (None, Some(namespace)) => {
                let role = match words.role {
                    RoleWord::Creator => NamespaceRole::Creator,
                    RoleWord::Admin => NamespaceRole::Admin,
                    RoleWord::Read | RoleWord::Write => {
                        return Err(refuse(
                            "the roles read and write are granted on a repository",
                        ));
                    }
                };
                RoleGrant::Namespace(namespace, role)
            }
            _ => return Err(refuse("give either a repository or --namespace")),
        };
        Ok(Self {
            user: words.user,
            grant,
        })
    }
}

impl FromArgMatches for GrantAdd {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        GrantAddWords::from_arg_matches(matches)?.try_into()
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for GrantAdd {
    fn augment_args(command: clap::Command) -> clap::Command {
        GrantAddWords::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        GrantAddWords::augment_args_for_update(command)
    }
}

/// Take a grant away.
#[derive(Debug, Clone, Args)]
pub struct GrantRemove {
    /// The user
    pub user: NamespaceName,

    /// Where it holds.
    #[command(flatten)]
    pub place: GrantPlace,
}

/// List grants.
#[derive(Debug, Clone, Args)]
pub struct GrantList {
    /// Where they hold.
    #[command(flatten)]
    pub place: GrantPlace,

    /// How to write the list.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Where a grant holds: exactly one of the two.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct GrantPlace {
    /// The repository
    pub repository: Option<RepositoryName>,

    /// The namespace, in place of a repository
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<NamespaceName>,
}

impl GrantCommand {
    /// Does it.
    pub async fn run(&self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        CommandContext::work(common, terminal, async |context| self.act(context).await).await
    }

    async fn act(&self, context: &CommandContext) -> Result<()> {
        match self {
            Self::Add(add) => add.act(context).await,
            Self::Remove(remove) => remove.act(context).await,
            Self::List(list) => list.act(context).await,
        }
    }
}

impl GrantAdd {
    async fn act(&self, context: &CommandContext) -> Result<()> {
        let (op, user) = (&context.op, &self.user);
        match &self.grant {
            RoleGrant::Repository(name, role) => {
                let repo = context.repo(name).await?;
                grants::on_repository(op, &repo, user.as_str(), Some(*role)).await?;
                Ok(context
                    .terminal
                    .say(format_args!("granted {role} on {name} to {user}"))?)
            }
            RoleGrant::Namespace(name, role) => {
                let namespace = context.namespace(name).await?;
                grants::on_namespace(op, &namespace, user.as_str(), Some(*role)).await?;
                Ok(context.terminal.say(format_args!(
                    "granted {role} on the namespace {name} to {user}"
                ))?)
            }
        }
    }
}

impl GrantRemove {
    async fn act(&self, context: &CommandContext) -> Result<()> {
        let (op, user) = (&context.op, &self.user);
        match self.place.target()? {
            GrantTarget::Repository(name) => {
                let repo = context.repo(name).await?;
                grants::on_repository(op, &repo, user.as_str(), None).await?;
                Ok(context
                    .terminal
                    .say(format_args!("removed the grant on {name} from {user}"))?)
            }
            GrantTarget::Namespace(name) => {
                let namespace = context.namespace(name).await?;
                grants::on_namespace(op, &namespace, user.as_str(), None).await?;
                Ok(context.terminal.say(format_args!(
                    "removed the grant on the namespace {name} from {user}"
                ))?)
            }
        }
    }
}

impl GrantList {
    async fn act(&self, context: &CommandContext) -> Result<()> {
        let op = &context.op;
        let listed = match self.place.target()? {
            GrantTarget::Repository(name) => {
                let repo = context.repo(name).await?;
                grants::list_on_repository(op, &repo).await?
            }
            GrantTarget::Namespace(name) => {
                let namespace = context.namespace(name).await?;
                grants::list_on_namespace(op, &namespace).await?
            }
        };
        let row = |grant: &grants::Grant| vec![grant.principal.clone(), grant.role.to_owned()];
        context
            .terminal
            .list(self.output, &listed, (&["USER", "ROLE"], row))
    }
}

/// Where a grant holds.
enum GrantTarget<'a> {
    Repository(&'a RepositoryName),
    Namespace(&'a NamespaceName),
}

impl GrantPlace {
    fn target(&self) -> Result<GrantTarget<'_>> {
        match (&self.repository, &self.namespace) {
            (Some(name), None) => Ok(GrantTarget::Repository(name)),
            (None, Some(name)) => Ok(GrantTarget::Namespace(name)),
            _ => bail!("give either a repository or --namespace"),
        }
    }
}
