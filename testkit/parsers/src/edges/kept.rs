//! What was written before and is read again: the state of an upload, by another release perhaps;
//! and the configuration, by a person.

use seawall::compose;
use seawall_blob::UploadState;

use crate::{survives_json, text};

/// The state of an upload as its row keeps it.
pub(crate) fn upload_state(bytes: &[u8]) {
    let Ok(state) = UploadState::from_bytes(bytes) else {
        return;
    };
    assert_eq!(bytes.first(), Some(&1), "another version is not understood");
    let again = UploadState::from_bytes(&state.to_bytes());
    assert_eq!(again.expect("what was written can be read"), state);
    survives_json(&state);
}

/// A configuration, which is either understood and says the same when it is written out, or refused
/// with a place and a reason for each thing that is wrong.
pub(crate) fn configuration(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let layout = compose::layout().expect("the sections have names of their own");
    let config = match layout.parse("FILE", text) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.problems.is_empty());
            for problem in &error.problems {
                assert!(problem.place.starts_with("FILE:"), "{problem}");
                assert!(!problem.message.is_empty(), "{problem}");
            }
            return;
        }
    };
    // A secret is not written out, so it cannot be read again.
    if config.database.url.is_some() {
        return;
    }
    let written = layout.to_yaml(&config).expect("it can be written");
    let again = layout.parse("AGAIN", &written);
    let again = again.expect("what was written can be read");
    assert_eq!(layout.to_yaml(&again).expect("it can be written"), written);
}
