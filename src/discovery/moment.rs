//! Two clocks at one moment: that of this host, and that of the server, which every HTTP answer names.

use crate::discovery::Warning;
use crate::discovery::spoken;
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Clocks closer than this count as one: a `Date` header has whole seconds, and the answer took its time.
const TOLERANCE: Duration = Duration::from_mins(1);

/// RFC 9110, IMF-fixdate.
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
const SHOWN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");

/// What the clocks said when an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub here: OffsetDateTime,
    /// `None` when the server did not say.
    pub there: Option<OffsetDateTime>,
}

impl Moment {
    /// `date` is the header of that name.
    pub(super) fn new(here: OffsetDateTime, date: Option<&str>) -> Self {
        let there = date.and_then(|text| PrimitiveDateTime::parse(text.trim(), DATE).ok());
        Self { here, there: there.map(PrimitiveDateTime::assume_utc) }
    }

    /// By how much this host's clock is ahead (`true`) or behind; `None` when they agree, as far as is known.
    pub fn difference(&self) -> Option<(Duration, bool)> {
        let ahead = self.here - self.there?;
        let apart = ahead.unsigned_abs();
        (apart > TOLERANCE).then(|| (apart, ahead.is_positive()))
    }

    pub(super) fn warning(&self, endpoint: &str) -> Option<Warning> {
        let (apart, ahead) = self.difference()?;
        let message = format!(
            "this host's clock is {} {} that of {endpoint}",
            spoken(apart),
            if ahead { "ahead of" } else { "behind" }
        );
        Some(Warning::new(message).hint("set both by NTP: certificates and tokens depend on the time"))
    }
}

/// A date for people.
pub(super) struct Shown(pub(super) OffsetDateTime);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.0.to_offset(time::UtcOffset::UTC);
        f.write_str(&utc.format(SHOWN).unwrap_or_else(|_| utc.to_string()))
    }
}
