//! `seawall user`: the arguments.

use clap::{Args, Subcommand};
use seawall_types::NamespaceName;

use super::Output;

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
}

/// Add a user.
#[derive(Debug, Clone, Args)]
pub struct UserAdd {
    /// The name, which is that of the user's namespace, too
    pub name: NamespaceName,

    /// Let the user do everything everywhere
    #[arg(long)]
    pub admin: bool,

    /// The user's mail address
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,

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
