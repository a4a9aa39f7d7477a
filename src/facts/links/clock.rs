//! How far a clock is from ours, as far as it can be known across a network.

use std::time::Duration;

/// The host's clock minus ours, in microseconds: it lies between these bounds for certain.
///
/// The host tells its time when it begins to answer and when it has answered, both between our asking and our having
/// the answer. What the network and the start of a shell take makes the bounds wider, never wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    pub least: i64,
    pub most: i64,
}

impl Offset {
    /// From one exchange; all in microseconds since the epoch, the middle two by the host's clock.
    pub fn of(asked: i64, began: i64, ended: i64, answered: i64) -> Self {
        Self { least: ended - answered, most: began - asked }
    }

    /// What both samples allow. Samples that contradict each other (a clock was set meanwhile) give the later one.
    #[must_use]
    pub fn narrowed(self, other: Self) -> Self {
        let both = Self { least: self.least.max(other.least), most: self.most.min(other.most) };
        if both.least <= both.most { both } else { other }
    }

    /// The middle, and the best guess.
    pub fn middle(self) -> i64 {
        i64::midpoint(self.least, self.most)
    }

    /// How far apart the clocks are at least, whatever the network did.
    pub fn certain(self, reference: i64) -> Duration {
        let (least, most) = (self.least - reference, self.most - reference);
        let micros = if least > 0 { least } else { (-most).max(0) };
        Duration::from_micros(micros.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_takes_is_no_skew() {
        // Asked at 1 s, answered at 3 s; the clocks agree, and the host was slow in the beginning or in the end.
        for began in [1_000_000, 2_000_000, 3_000_000] {
            let offset = Offset::of(1_000_000, began, began, 3_000_000);
            assert_eq!(offset.certain(0), Duration::ZERO, "{offset:?}");
        }
        let ahead = Offset::of(1_000_000, 9_000_000, 9_500_000, 3_000_000);
        assert_eq!(ahead, Offset { least: 6_500_000, most: 8_000_000 });
        assert_eq!(ahead.certain(0), Duration::from_millis(6500));
        assert_eq!(ahead.certain(7_000_000), Duration::ZERO);
        let behind = Offset::of(10_000_000, 1_000_000, 1_000_000, 10_200_000);
        assert_eq!(behind.certain(0), Duration::from_secs(9));
    }

    #[test]
    fn several_samples_narrow_it_down() {
        let one = Offset { least: -100, most: 900 };
        let other = Offset { least: 0, most: 2000 };
        assert_eq!(one.narrowed(other), Offset { least: 0, most: 900 });
        assert_eq!(one.narrowed(other).middle(), 450);
        let set = Offset { least: 5000, most: 6000 };
        assert_eq!(one.narrowed(set), set);
    }
}
