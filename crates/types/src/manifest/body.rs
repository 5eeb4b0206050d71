//! placeholder
use super::{Manifest, ManifestError};
use crate::media_type::MediaType;
pub(super) fn parse(_: Option<&MediaType>, _: &[u8]) -> Result<Manifest, ManifestError> {
    Err(ManifestError::NoMediaType)
}
