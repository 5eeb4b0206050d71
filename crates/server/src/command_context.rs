//! The context: what every command shares that works beside a serving process.
//!
//! It composes the same program over the same data, without listeners and without background work,
//! and acts as the operator. The server gets its changes through the change log.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use seawall_kernel::auth::{Administer, InstallationAct, UserAct};
use seawall_kernel::changes::FRESH;
use seawall_kernel::{Installation, Namespace, Op, Repo, User};
use seawall_types::lane::Lane;
use seawall_types::{NamespaceName, RepositoryName};
use serde::Serialize;

use crate::command::{CommonOptions, OutputFormat, OutputOptions};
use crate::compose::{self, App, Runtime};
use crate::terminal::Terminal;

/// How long what a command left behind may take to end.
const AFTERWORK: Duration = Duration::from_secs(5);

/// The program as one command uses it.
pub struct CommandContext {
    /// What is put together.
    pub app: App,
    /// The operator's operation.
    pub op: Op,
    /// Where the command speaks.
    pub terminal: Terminal,
    /// The data directory.
    pub data: PathBuf,
}

impl CommandContext {
    /// Does `work` at an open context, and closes it however that ends.
    pub async fn work<T>(
        common: &CommonOptions,
        terminal: Terminal,
        work: impl AsyncFnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let context = Self::open(common, terminal).await?;
        let done = work(&context).await;
        context.close().await;
        done
    }

    /// Opens what the configuration names. Its schema must fit; only `serve` and
    /// `migrate` change it.
    async fn open(common: &CommonOptions, terminal: Terminal) -> Result<Self> {
        let config = common.load(None)?;
        let runtime = Runtime::machine();
        let data = config.data.clone();
        if !data.is_dir() {
            bail!(
                "there is no data directory {}; `seawall serve` makes it",
                data.display()
            );
        }
        let meta = compose::open_meta(&config, &data, &runtime).await?;
        let migrator = compose::migrator(&meta);
        migrator
            .check()
            .await
            .context("the schema does not fit this binary")?;
        let app = App::open(&config, &data, meta, &runtime).await?;
        let op = Arc::clone(&app.kernel).internal_op(Lane::Control, "command");
        Ok(Self {
            app,
            op,
            terminal,
            data,
        })
    }

    /// Closes it. Before, it waits until no server gives out any more what this command has
    /// changed: for so long a server trusts its last poll of the change log.
    async fn close(self) {
        if self.op.seen() > 0 {
            tokio::time::sleep(FRESH).await;
        }
        drop(self.op);
        self.app.close(AFTERWORK).await;
    }

    /// The installation, for what the operator does to it.
    pub fn installation<A: InstallationAct>(&self) -> Result<Installation<A>> {
        Ok(self.op.installation::<A>()?)
    }

    /// A namespace that a command names.
    pub async fn namespace(&self, name: &NamespaceName) -> Result<Namespace<Administer>> {
        Ok(self.op.namespace::<Administer>(name).await?)
    }

    /// A user whom a command names.
    pub async fn user<A: UserAct>(&self, name: &NamespaceName) -> Result<User<A>> {
        Ok(self.op.user::<A>(name).await?)
    }

    /// A repository that a command names.
    pub async fn repo(&self, name: &RepositoryName) -> Result<Repo<Administer>> {
        let found = self.op.repo::<Administer>(name).await;
        found.with_context(|| name.to_string())
    }

    /// Asks before something is lost, unless `yes` was said already.
    pub fn confirm(&self, yes: bool, question: &str) -> Result<()> {
        if yes {
            return Ok(());
        }
        if !self.terminal.is_interactive() {
            bail!("{question} Use --yes where there is no terminal.");
        }
        let answer = self.terminal.ask(&format!("{question} [y/N]"))?;
        if !matches!(answer.as_str(), "y" | "Y" | "yes") {
            bail!("nothing was changed");
        }
        Ok(())
    }
}

impl Terminal {
    /// Writes a list as it was asked for.
    pub fn list<T: Serialize>(
        self,
        output: OutputOptions,
        items: &[T],
        (head, row): (&[&str], impl Fn(&T) -> Vec<String>),
    ) -> Result<()> {
        match output.format {
            OutputFormat::Json => self.say(serde_json::to_string_pretty(items)?)?,
            OutputFormat::Table => {
                let head = head.iter().map(ToString::to_string).collect();
                let rows: Vec<_> = std::iter::once(head).chain(items.iter().map(row)).collect();
                self.write(&columns(&rows))?;
            }
        }
        Ok(())
    }
}

/// Rows under each other, each column as wide as its widest cell.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<_> = (0..count)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing into a string cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["NAME", "ADMIN"], ["ann", "yes"], ["bartholomew", "no"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            columns(&rows),
            "NAME         ADMIN\nann          yes\nbartholomew  no\n"
        );
    }
}
