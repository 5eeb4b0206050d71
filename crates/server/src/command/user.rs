//! `seawall user`: who may log in.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use seawall_accounts::{NewUser, RefreshToken};
use seawall_kernel::auth::{Administer, ManageCredentials};
use seawall_kernel::catalog::principals::UserSummary;
use seawall_types::{CredentialId, NamespaceName, Secret};

use super::{CommonOptions, OutputOptions};
use crate::command_context::CommandContext;
use crate::first_password::{ADMIN, FirstPassword};
use crate::terminal::Terminal;

/// Manage users.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Add a user; without a password given, one is asked for, or made and shown once
    Add(UserAdd),
    /// Give a user a new password
    Passwd(UserPasswd),
    /// List the users
    List(OutputOptions),
    /// Disable a user: no more logins, and the user's tokens are refused
    Disable(UserArgument),
    /// Let a disabled user log in again
    Enable(UserArgument),
    /// Delete a user for good
    Delete(UserDelete),
    /// Manage the refresh tokens that a user's programs hold
    #[command(subcommand)]
    Tokens(UserTokens),
}

/// Manage refresh tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum UserTokens {
    /// List them
    List(TokenList),
    /// End one of them, or all; the password stays
    Revoke(TokenRevoke),
}

/// List refresh tokens.
#[derive(Debug, Clone, Args)]
pub struct TokenList {
    /// The user
    pub name: NamespaceName,

    /// How to write the list.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// End refresh tokens.
#[derive(Debug, Clone, Args)]
pub struct TokenRevoke {
    /// The user
    pub name: NamespaceName,

    /// Which one, as the list names it
    #[arg(required_unless_present = "all")]
    pub id: Option<i64>,

    /// All of them
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
}

/// Add a user.
#[derive(Debug, Clone, Args)]
pub struct UserAdd {
    /// The name, which is that of the user's namespace, too
    pub name: NamespaceName,

    /// Let the user do everything everywhere
    #[arg(long)]
    pub admin: bool,

    /// Where the password comes from.
    #[command(flatten)]
    pub password: PasswordSource,
}

/// Give a user a new password.
#[derive(Debug, Clone, Args)]
pub struct UserPasswd {
    /// The user
    pub name: NamespaceName,

    /// Where the password comes from.
    #[command(flatten)]
    pub password: PasswordSource,
}

/// Where a password comes from. It is never an argument, which every user of the machine could
/// read.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct PasswordSource {
    /// Read the password from standard input, up to the end of the line
    #[arg(long)]
    pub password_stdin: bool,
}

/// One user.
#[derive(Debug, Clone, Args)]
pub struct UserArgument {
    /// The user
    pub name: NamespaceName,
}

/// Delete a user.
#[derive(Debug, Clone, Args)]
pub struct UserDelete {
    /// The user
    pub name: NamespaceName,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

impl UserCommand {
    /// Does it.
    pub async fn run(&self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        CommandContext::work(common, terminal, async |context| self.act(context).await).await
    }

    async fn act(&self, context: &CommandContext) -> Result<()> {
        let (directory, op) = (&context.app.directory, &context.op);
        match self {
            Self::Add(add) => {
                let password = add.password.read(context.terminal)?;
                let user = NewUser {
                    name: add.name.clone(),
                    password,
                    superuser: add.admin,
                };
                let installation = context.installation::<Administer>()?;
                let made = directory.create_user(op, &installation, user).await?;
                context
                    .terminal
                    .say(format_args!("user {} added", add.name))?;
                show(context.terminal, made)?;
            }
            Self::Passwd(passwd) => {
                let password = passwd.password.read(context.terminal)?;
                let user = context.user::<ManageCredentials>(&passwd.name).await?;
                let made = directory.set_password(op, &user, password).await?;
                context
                    .terminal
                    .say(format_args!("user {} has a new password", passwd.name))?;
                remove_first_password(context, &passwd.name);
                show(context.terminal, made)?;
            }
            Self::List(output) => list(context, *output).await?,
            Self::Disable(named) => {
                let user = context.user::<Administer>(&named.name).await?;
                directory.set_enabled(op, &user, false).await?;
                context
                    .terminal
                    .say(format_args!("user {} disabled", named.name))?;
            }
            Self::Enable(named) => {
                let user = context.user::<Administer>(&named.name).await?;
                directory.set_enabled(op, &user, true).await?;
                context
                    .terminal
                    .say(format_args!("user {} enabled", named.name))?;
            }
            Self::Delete(delete) => {
                let question = format!("Delete {} and all repositories of that user?", delete.name);
                context.confirm(delete.yes, &question)?;
                let user = context.user::<Administer>(&delete.name).await?;
                directory.delete_user(op, &user).await?;
                remove_first_password(context, &delete.name);
                context
                    .terminal
                    .say(format_args!("user {} deleted", delete.name))?;
            }
            Self::Tokens(UserTokens::List(list)) => list_tokens(context, list).await?,
            Self::Tokens(UserTokens::Revoke(TokenRevoke { name, id, .. })) => {
                let id = id.map(CredentialId::from);
                let user = context.user::<ManageCredentials>(name).await?;
                directory.revoke_refresh_tokens(op, &user, id).await?;
                let which = id.map_or_else(|| "all".to_owned(), |id| id.to_string());
                context
                    .terminal
                    .say(format_args!("refresh tokens of {name} revoked: {which}"))?;
            }
        }
        Ok(())
    }
}

async fn list(context: &CommandContext, output: OutputOptions) -> Result<()> {
    let installation = context.installation()?;
    let users = context.app.directory.list_users(&context.op, &installation);
    let users = users.await?;
    let word = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let head = ["NAME", "ADMIN", "ENABLED", "CREATED"];
    context.terminal.list(
        output,
        &users,
        (&head, |user: &UserSummary| {
            vec![
                user.name.clone(),
                word(user.admin),
                word(user.enabled),
                user.created_at.to_string(),
            ]
        }),
    )
}

/// Removes the file that holds the first administrator's password, which is not good any more.
fn remove_first_password(context: &CommandContext, name: &NamespaceName) {
    let first = FirstPassword::of(&context.data);
    if name.as_str() == ADMIN
        && let Err(error) = first.remove()
    {
        let path = first.path().display();
        context
            .terminal
            .write_error(format_args!("{path} cannot be removed: {error}"));
    }
}

async fn list_tokens(context: &CommandContext, list: &TokenList) -> Result<()> {
    let directory = &context.app.directory;
    let user = context.user(&list.name).await?;
    let tokens = directory.list_refresh_tokens(&context.op, &user).await?;
    let head = ["ID", "CLIENT", "CREATED", "ENDS", "LAST USED"];
    context.terminal.list(
        list.output,
        &tokens,
        (&head, |token: &RefreshToken| {
            let last = token.last_used_at;
            vec![
                token.id.to_string(),
                token.client.clone().unwrap_or_default(),
                token.created_at.to_string(),
                token.expires_at.to_string(),
                last.map_or_else(|| "never".to_owned(), |last| last.to_string()),
            ]
        }),
    )
}

/// Shows a password that was made here, once.
fn show(terminal: Terminal, made: Option<Secret>) -> Result<()> {
    if let Some(password) = made {
        terminal.say(format_args!("password: {}", password.expose()))?;
    }
    Ok(())
}

impl PasswordSource {
    /// The password that is given; `None` where one is to be made.
    fn read(self, terminal: Terminal) -> Result<Option<Secret>> {
        let given = if self.password_stdin {
            Secret::new(terminal.read_line()?)
        } else if terminal.is_interactive() {
            let first = terminal.ask_secret("Password (empty: make one):")?;
            if first.expose().is_empty() {
                return Ok(None);
            }
            let second = terminal.ask_secret("Once more:")?;
            ensure!(
                first.expose() == second.expose(),
                "the two passwords differ"
            );
            first
        } else {
            return Ok(None);
        };
        ensure!(!given.expose().is_empty(), "the password is empty");
        Ok(Some(given))
    }
}
