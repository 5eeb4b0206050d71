//! The installation's own row: its identity, and the proof that this process holds its secret.

pub mod store;

use aws_lc_rs::constant_time;
use seawall_meta::{Session, args};
use seawall_types::time::{Random, uuid};
use seawall_types::{Error, Reason, Result};
use uuid::Uuid;

use crate::secrets::Secrets;

/// The identity under which this installation issues and accepts tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallationIdentity {
    /// Never changes, and never depends on a host name.
    pub id: Uuid,
}

const PURPOSE: &str = "installation";

/// Reads the installation, or makes it at the very first start; two replicas make one.
///
/// Errors: `Unavailable` with the reason when the secret is another installation's.
pub(crate) async fn load_or_create(
    sql: &Session,
    secrets: &Secrets,
    random: &dyn Random,
) -> Result<InstallationIdentity> {
    let drafted = uuid(random);
    let check = secrets.tag(PURPOSE, drafted.as_bytes());
    let (id, check) = sql
        .transaction(move |tx| {
            let check = check.clone();
            Box::pin(async move {
                let drafted = drafted.to_string();
                tx.execute(&store::INSERT, args![drafted, &check]).await?;
                let row = tx.one(&store::LOAD, args![]).await?;
                Ok::<_, Error>((row.string(0)?, row.bytes(1)?.to_vec()))
            })
        })
        .await?
        .value;
    let id = Uuid::parse_str(&id).map_err(|e| {
        Error::new(Reason::Internal, "the installation row is damaged").with_source(e)
    })?;
    let expected = secrets.tag(PURPOSE, id.as_bytes());
    if constant_time::verify_slices_are_equal(&expected, &check).is_err() {
        return Err(Error::new(
            Reason::Unavailable,
            "the installation secret is not the one this database was set up with",
        ));
    }
    Ok(InstallationIdentity { id })
}
