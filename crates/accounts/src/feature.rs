//! What accounts bring: the token service's routes, and two jobs.

use std::sync::Arc;
use std::time::Duration;

use seawall_kernel::jobs::{Job, JobOutcome};
use seawall_kernel::{Feature, FeaturePlan};
use seawall_types::lane::Lane;
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::keys::{self, RotateKeys};
use crate::{api, credentials};

const ROTATE_EVERY: Duration = Duration::from_hours(1);
const SWEEP_EVERY: Duration = Duration::from_hours(1);
const SWEEP_MORE: Duration = Duration::from_secs(1);

/// Removes credentials that ended long ago.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SweepCredentials {}

impl Job for SweepCredentials {
    const KIND: &'static str = "credentials.sweep";
}

/// What accounts bring to a program that has a directory.
pub fn plan<C: AsRef<Arc<Directory>> + 'static>() -> FeaturePlan<C> {
    FeaturePlan::new("accounts")
        .migrations(crate::MIGRATIONS)
        .statements(crate::statements())
        .declares(crate::declarations())
        .build_plain(|core: &C| feature(core.as_ref()))
}

/// The feature that is always on: who is who.
pub fn feature(directory: &Arc<Directory>) -> Feature {
    let rotating = Arc::clone(directory);
    Feature::required("accounts")
        .routes(api::routes(directory))
        .job(Lane::Background, move |op, _: RotateKeys| {
            let directory = Arc::clone(&rotating);
            async move {
                keys::rotate_if_old(&op, directory.tokens().config()).await?;
                Ok(JobOutcome::Again(ROTATE_EVERY))
            }
        })
        .always(&RotateKeys {}, Duration::from_mins(1))
        .job(Lane::Background, |op, _: SweepCredentials| async move {
            let more = credentials::sweep(&op).await?;
            Ok(JobOutcome::Again(if more {
                SWEEP_MORE
            } else {
                SWEEP_EVERY
            }))
        })
        .always(&SweepCredentials {}, SWEEP_EVERY)
}
