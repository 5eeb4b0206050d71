//! The run-time state of a feature: on, answering from caches only, or off.
//!
//! A [`Switch`] is one atomic that everything of a feature shares: its routes, jobs, consumers,
//! watchers and health checks ask it each time, so that a change counts for the next request. It is
//! a state of this process and is not stored. It must never be asked with a lock or by SQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use seawall_types::{Error, Reason, Result};

/// What a feature does in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureState {
    /// Everything.
    On,
    /// Its routes answer from caches and refuse what needs the database; jobs and consumers pause.
    Cached,
    /// Nothing: its routes answer as if they were not there, and say why.
    Off,
}

/// The shared state of one feature.
#[derive(Debug, Clone)]
pub struct Switch {
    feature: &'static str,
    required: bool,
    state: Arc<AtomicU8>,
}

const ON: u8 = 0;
const CACHED: u8 = 1;
const OFF: u8 = 2;

impl Switch {
    /// The switch of a feature that is on.
    pub fn new(feature: &'static str) -> Self {
        Self {
            feature,
            required: false,
            state: Arc::new(AtomicU8::new(ON)),
        }
    }

    /// The switch of a feature without which there is no registry: it stays on.
    pub fn required(feature: &'static str) -> Self {
        Self {
            required: true,
            ..Self::new(feature)
        }
    }

    /// The feature's name.
    pub fn feature(&self) -> &'static str {
        self.feature
    }

    /// Whether it stays on.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// What the feature does now.
    pub fn state(&self) -> FeatureState {
        match self.state.load(Ordering::Relaxed) {
            ON => FeatureState::On,
            CACHED => FeatureState::Cached,
            _ => FeatureState::Off,
        }
    }

    /// Whether the feature does everything.
    pub fn is_on(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ON
    }

    /// Changes what the feature does, for what begins from now on. What is under way goes on.
    ///
    /// Errors: `Unsupported` for a required feature.
    pub fn set(&self, state: FeatureState) -> Result<()> {
        if self.required {
            let words = format!("the feature {} cannot be switched off", self.feature);
            return Err(Error::new(Reason::Unsupported, words));
        }
        let state = match state {
            FeatureState::On => ON,
            FeatureState::Cached => CACHED,
            FeatureState::Off => OFF,
        };
        self.state.store(state, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_share_a_switch_see_its_state_and_a_required_one_stays_on() {
        let switch = Switch::new("usage");
        let shared = switch.clone();
        for state in [FeatureState::Cached, FeatureState::Off, FeatureState::On] {
            switch.set(state).unwrap();
            assert_eq!(shared.state(), state);
        }
        let required = Switch::required("registry");
        assert!(required.set(FeatureState::Off).is_err());
        assert!(required.is_on());
    }
}
