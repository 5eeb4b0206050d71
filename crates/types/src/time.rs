//! Time and randomness as values and traits; the implementations live in the kernel and, for tests,
//! in the testkit.
//!
//! Two kinds of time never mix: [`Millis`] is a point in civil time, which replicas compare and
//! databases store, and a [`Duration`] on [`Clock::elapsed`] measures how long something took in
//! this process. Deadlines use the second, history and leases the first (and there the database's,
//! decision 18).

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds. Arithmetic
/// saturates.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// The number of milliseconds since 1970.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Whole seconds since 1970, rounded down; the unit of JWT claims.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The point `seconds` after 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

/// The duration in whole milliseconds, saturating.
fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Millis {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }
}

impl AddAssign<Duration> for Millis {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }
}

impl From<i64> for Millis {
    fn from(millis: i64) -> Self {
        Self(millis)
    }
}

/// Writes RFC 3339 in UTC with milliseconds, like `2020-05-28T13:37:00.000Z`. Years beyond four
/// digits are written with as many as they need, which RFC 3339 does not know.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(MILLIS_PER_DAY));
        let rest = self.0.rem_euclid(MILLIS_PER_DAY);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, milli) = (rest / 1000 % 60, rest % 1000);
        if !(0..=9999).contains(&year) {
            return write!(
                f,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
            );
        }
        // Each line of the log begins with a time, and writing digits is a fraction of what
        // formatting numbers is.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let parts = [
            (year, 3),
            (month, 6),
            (day, 9),
            (hour, 12),
            (minute, 15),
            (second, 18),
            (milli, 22),
        ];
        for (number, last) in parts {
            put_digits(&mut text[..=last], number);
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Writes a number's digits over the end of `text`.
fn put_digits(text: &mut [u8], number: i64) {
    let mut rest = number;
    for place in text.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

/// Serialises a time as text, for what people and other programs read:
/// `#[serde(serialize_with = "as_text")]`. By itself a time is a number.
pub fn as_text<S: serde::Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// [`as_text`] of a time that need not be there.
pub fn as_text_if_any<S: serde::Serializer>(
    time: &Option<Millis>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time.map(|time| time.to_string()), serializer)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day comes last; the constants are the days
/// of 400 years, of 100 years, of 4 years, and of five months.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Civil time as this machine believes it to be. For display and for what no other replica
    /// compares.
    fn wall(&self) -> Millis;

    /// Time since an arbitrary start, which never goes back and, where the system can tell, runs on
    /// while it is suspended.
    fn elapsed(&self) -> Duration;
}

/// Where randomness comes from: a cryptographically secure generator, except in tests.
pub trait Random: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// A random (version 4) UUID.
pub fn uuid(random: &dyn Random) -> Uuid {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_590_673_020_123, "2020-05-28T13:37:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Millis(millis).to_string(), text);
        }
        // The ends of the range are nonsense as dates, but they must not panic.
        assert!(Millis(i64::MAX).to_string().ends_with('Z'));
        assert!(Millis(i64::MIN).to_string().ends_with('Z'));
    }

    #[test]
    fn arithmetic_saturates() {
        let second = Duration::from_secs(1);
        assert_eq!(Millis(5) + second, Millis(1005));
        assert_eq!(Millis(5) - second, Millis(-995));
        assert_eq!(Millis(i64::MAX) + Duration::MAX, Millis(i64::MAX));
        assert_eq!(Millis(i64::MIN) - Duration::MAX, Millis(i64::MIN));
        assert_eq!(Millis(1005).since(Millis(5)), second);
        assert_eq!(Millis(5).since(Millis(1005)), Duration::ZERO);
        assert_eq!(
            Millis(i64::MAX).since(Millis(i64::MIN)).as_millis(),
            i64::MAX as u128
        );
        assert_eq!(Millis(-1).seconds(), -1);
        assert_eq!(Millis::from_seconds(2), Millis(2000));
    }

    struct Counting;

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::try_from(index % 256).unwrap();
            }
        }
    }

    #[test]
    fn uuids_are_of_version_4() {
        let id = uuid(&Counting);
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(id.to_string(), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }
}
