//! The command line: what can be said, and the words of help. What each command does is in the
//! module of its name.
//!
//! Exit codes: 0 if all went well, 1 if it failed or damage was found, 2 if the command line itself
//! was wrong.

pub mod config;
pub mod grant;
pub mod jobs;
pub mod migrate;
pub mod namespace;
pub mod repo;
pub mod serve;
pub mod user;
pub mod verify;
pub mod version;

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use seawall_config::ConfigError;

use crate::compose;
use crate::config::{Config, ListenAddress, ServerSources};

/// A container registry in one binary.
///
/// Without any configuration, `seawall serve` keeps everything under ./data and listens on
/// 127.0.0.1:5000.
#[derive(Debug, Parser)]
#[command(name = "seawall", version = version::SHORT, propagate_version = false)]
#[command(arg_required_else_help = true, infer_subcommands = false)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What every command takes.
    #[command(flatten)]
    pub common: CommonOptions,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonOptions {
    /// The configuration file (YAML); every key may also be given as SEAWALL__SECTION__KEY
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SEAWALL_CONFIG",
        value_parser = path(),
        help_heading = "Everywhere"
    )]
    pub config: Option<PathBuf>,

    /// The data directory, whatever the configuration says [default: ./data]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SEAWALL_DATA",
        value_parser = path(),
        help_heading = "Everywhere"
    )]
    pub data: Option<PathBuf>,
}

impl CommonOptions {
    /// Loads the configuration that these name, over it the environment, over that `--data` and
    /// `--listen`.
    pub fn load(&self, listen: Option<ListenAddress>) -> Result<Config, ConfigError> {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        // A variable that is no text cannot be one of ours.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        let sources = ServerSources {
            file: self
                .config
                .clone()
                .filter(|file| !file.as_os_str().is_empty()),
            environment: environment.collect(),
            data: self
                .data
                .clone()
                .filter(|data| !data.as_os_str().is_empty()),
            listen,
        };
        crate::config::load(&compose::layout()?, sources)
    }
}

/// A path that may be empty: container tools pass on variables that are not set as empty ones.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the registry
    Serve(serve::ServeCommand),
    /// Check or write a configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Manage users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage namespaces
    #[command(subcommand)]
    Namespace(namespace::NamespaceCommand),
    /// Manage repositories
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Manage who may do what
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// Inspect the queue of jobs and retry failing ones
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Bring the database's schema up to date
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Check that every blob is there and is what its digest says
    Verify(verify::VerifyCommand),
    /// Show the version and what it was built from
    Version(version::VersionCommand),
}

/// How a list is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Columns, for people.
    #[default]
    Table,
    /// One JSON array.
    Json,
}

/// The option of all commands that write lists.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct OutputOptions {
    /// How to write the list
    #[arg(
        short = 'o',
        long,
        value_enum,
        default_value_t,
        visible_alias = "output"
    )]
    pub format: OutputFormat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_tree_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_has_help() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no help");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path}: {} has no help",
                    argument.get_id()
                );
            }
            command
                .get_subcommands()
                .for_each(|inner| check(inner, &path));
        }
        check(&CommandLine::command(), "");
    }

    #[test]
    fn lines_that_are_understood() {
        for line in [
            "seawall serve",
            "seawall serve --config c.yaml --data d --listen 0.0.0.0:5000",
            "seawall --data d user list -o json",
            "seawall user list --format table --data d",
            "seawall user add ann --admin --password-stdin",
            "seawall user passwd ann",
            "seawall user disable ann",
            "seawall user enable ann",
            "seawall user delete ann --yes",
            "seawall user tokens list ann -o json",
            "seawall user tokens revoke ann 7",
            "seawall user tokens revoke ann --all",
            "seawall namespace add team --owner ann",
            "seawall namespace list --output json",
            "seawall namespace delete team --yes",
            "seawall jobs list -o json",
            "seawall jobs retry 7",
            "seawall jobs retry --failing",
            "seawall repo list team",
            "seawall repo visibility team/app public",
            "seawall repo delete team/app --yes",
            "seawall grant add ann write team/app",
            "seawall grant add ann creator --namespace team",
            "seawall grant remove ann team/app",
            "seawall grant list team/app",
            "seawall config check c.yaml",
            "seawall config check",
            "seawall config example",
            "seawall config schema",
            "seawall migrate plan",
            "seawall migrate apply",
            "seawall migrate status -o json",
            "seawall verify --quick",
            "seawall version -o json",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn an_empty_path_is_none() {
        let mut line = CommandLine::try_parse_from(["seawall", "serve", "--data", ""]).unwrap();
        assert_eq!(line.common.data, Some(PathBuf::new()));
        line.common.config = Some(PathBuf::new());
        let config = line.common.load(None).unwrap();
        assert_eq!(config.data, PathBuf::from("./data"));
    }

    #[test]
    fn wrong_lines_are_usage_errors() {
        for line in [
            "seawall fly",
            "seawall serve --listen here",
            "seawall user add",
            "seawall user tokens revoke ann",
            "seawall user tokens revoke ann 7 --all",
            "seawall user add Not+AName",
            "seawall repo visibility team/app hidden",
            "seawall grant add ann owner team/app",
            "seawall grant add ann creator team/app",
            "seawall grant add ann write --namespace team",
            "seawall grant add ann write",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
