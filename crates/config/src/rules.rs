//! Rules that the types of a section cannot express: ranges, and what must or must not be given
//! together.

/// A rule that a section breaks; the loader finds out where the value stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {expected}")]
pub struct RuleViolation {
    /// The path of the key below the section, such as `locations.local`; below the whole once
    /// [`RuleViolation::under`] has put the section's name before it.
    pub path: String,
    /// What was expected.
    pub expected: String,
}

/// A number with the least and the most that it may be.
#[derive(Debug, Clone, Copy)]
pub struct NumberRange {
    key: &'static str,
    value: u64,
    least: u64,
    most: u64,
}

impl NumberRange {
    /// The number that `key` has, and what it may be.
    pub fn new(key: &'static str, value: impl Into<u64>, least: u64, most: u64) -> Self {
        Self {
            key,
            value: value.into(),
            least,
            most,
        }
    }
}

impl RuleViolation {
    /// What was expected of the key at `path`.
    pub fn new(path: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            expected: expected.into(),
        }
    }

    /// The keys whose number is out of its range.
    pub fn ranges(rules: &[NumberRange]) -> Vec<Self> {
        rules
            .iter()
            .filter(|rule| !(rule.least..=rule.most).contains(&rule.value))
            .map(|rule| {
                let expected = format!("expected a number from {} to {}", rule.least, rule.most);
                Self::new(rule.key, expected)
            })
            .collect()
    }

    /// The same rules with the name of their section before the paths.
    pub fn under(section: &str, found: Vec<Self>) -> Vec<Self> {
        found
            .into_iter()
            .map(|invalid| Self {
                path: format!("{section}.{}", invalid.path),
                ..invalid
            })
            .collect()
    }
}
