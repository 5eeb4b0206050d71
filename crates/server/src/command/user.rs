//! `seawall user`: who may log in.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use seawall_accounts::{NewUser, RefreshToken};
use seawall_kernel::auth::{Administer, ManageCredentials};
use seawall_kernel::catalog::principals::UserSummary;
use seawall_types::{CredentialId, NamespaceName, Secret};

use super::{Common, Output};
use crate::desk::Desk;
use crate::first::{ADMIN, FirstPassword};
use crate::terminal::Terminal;

/// Manage users.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Add a user; without a password given, one is asked for, or made and shown once
    Add(UserAdd),
    /// Give a user a new password
    Passwd(UserPasswd),
    /// List the users
    List(Output),
    /// Let a user log in no more, and refuse the tokens that the user has
    Disable(UserName),
    /// Let a disabled user log in again
    Enable(UserName),
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
    pub output: Output,
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

/// Where a password comes from. It is never an argument, which everybody on the machine could read.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct PasswordSource {
    /// Read the password from standard input, up to the end of the line
    #[arg(long)]
    pub password_stdin: bool,
}

/// One user.
#[derive(Debug, Clone, Args)]
pub struct UserName {
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
    pub async fn run(&self, common: &Common, terminal: Terminal) -> Result<()> {
        Desk::work(common, terminal, async |desk| self.act(desk).await).await
    }

    async fn act(&self, desk: &Desk) -> Result<()> {
        let (directory, op) = (&desk.house.directory, &desk.op);
        match self {
            Self::Add(add) => {
                let password = add.password.read(desk.terminal)?;
                let user = NewUser {
                    name: add.name.clone(),
                    password,
                    superuser: add.admin,
                };
                let installation = desk.installation::<Administer>()?;
                let made = directory.create_user(op, &installation, user).await?;
                desk.terminal.say(format_args!("user {} added", add.name))?;
                show(desk.terminal, made)?;
            }
            Self::Passwd(passwd) => {
                let password = passwd.password.read(desk.terminal)?;
                let user = desk.user::<ManageCredentials>(&passwd.name).await?;
                let made = directory.set_password(op, &user, password).await?;
                desk.terminal
                    .say(format_args!("user {} has a new password", passwd.name))?;
                forget_first(desk, &passwd.name);
                show(desk.terminal, made)?;
            }
            Self::List(output) => list(desk, *output).await?,
            Self::Disable(named) => {
                let user = desk.user::<Administer>(&named.name).await?;
                directory.set_enabled(op, &user, false).await?;
                desk.terminal
                    .say(format_args!("user {} disabled", named.name))?;
            }
            Self::Enable(named) => {
                let user = desk.user::<Administer>(&named.name).await?;
                directory.set_enabled(op, &user, true).await?;
                desk.terminal
                    .say(format_args!("user {} enabled", named.name))?;
            }
            Self::Delete(delete) => {
                let question = format!("Delete {} and all repositories of that user?", delete.name);
                desk.confirm(delete.yes, &question)?;
                let user = desk.user::<Administer>(&delete.name).await?;
                directory.delete_user(op, &user).await?;
                forget_first(desk, &delete.name);
                desk.terminal
                    .say(format_args!("user {} deleted", delete.name))?;
            }
            Self::Tokens(UserTokens::List(list)) => list_tokens(desk, list).await?,
            Self::Tokens(UserTokens::Revoke(TokenRevoke { name, id, .. })) => {
                let id = id.map(CredentialId::from);
                let user = desk.user::<ManageCredentials>(name).await?;
                directory.revoke_refresh_tokens(op, &user, id).await?;
                let which = id.map_or_else(|| "all".to_owned(), |id| id.to_string());
                desk.terminal
                    .say(format_args!("refresh tokens of {name} revoked: {which}"))?;
            }
        }
        Ok(())
    }
}

async fn list(desk: &Desk, output: Output) -> Result<()> {
    let installation = desk.installation()?;
    let users = desk.house.directory.list_users(&desk.op, &installation);
    let users = users.await?;
    let word = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let head = ["NAME", "ADMIN", "ENABLED", "CREATED"];
    desk.terminal.list(
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
fn forget_first(desk: &Desk, name: &NamespaceName) {
    let first = FirstPassword::of(&desk.data);
    if name.as_str() == ADMIN
        && let Err(error) = first.remove()
    {
        let path = first.path().display();
        desk.terminal
            .complain(format_args!("{path} cannot be removed: {error}"));
    }
}

async fn list_tokens(desk: &Desk, list: &TokenList) -> Result<()> {
    let directory = &desk.house.directory;
    let user = desk.user(&list.name).await?;
    let tokens = directory.list_refresh_tokens(&desk.op, &user).await?;
    let head = ["ID", "CLIENT", "CREATED", "ENDS", "LAST USED"];
    desk.terminal.list(
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
