//! How long an answer waits: a fixed time, a span, or a distribution with a long tail.
//!
//! Hosts are slow in the manner of queues: most answers come soon and a few come very late. A mean
//! (exponential) or two percentiles (lognormal) say that shortly. The greatest delay caps every draw,
//! because a tail has no end.

use std::time::Duration;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

/// A delay to be drawn for each answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// From a least to a greatest, each as likely; equal ones are a fixed delay.
    Uniform {
        /// The least.
        least: Duration,
        /// The greatest.
        most: Duration,
    },
    /// Most are short and few are long, as at a queue.
    Exponential {
        /// The mean.
        mean: Duration,
        /// No draw is longer.
        most: Duration,
    },
    /// Half are shorter than the median, one in a hundred is longer than the 99th percentile.
    Lognormal {
        /// The median.
        p50: Duration,
        /// The 99th percentile.
        p99: Duration,
        /// No draw is longer.
        most: Duration,
    },
}

impl Default for Delay {
    fn default() -> Self {
        Self::fixed(Duration::ZERO)
    }
}

impl Delay {
    /// Always the same.
    pub fn fixed(delay: Duration) -> Self {
        Self::Uniform { least: delay, most: delay }
    }

    /// The delay of one answer.
    pub fn draw(self, random: &mut fastrand::Rng) -> Duration {
        match self {
            Self::Uniform { least, most } if least == most => least,
            Self::Uniform { least, most } => least + most.saturating_sub(least).mul_f64(random.f64()),
            Self::Exponential { mean, most } => scaled(mean, -(1.0 - random.f64()).ln(), most),
            Self::Lognormal { p50, p99, most } => {
                let spread = (p99.as_secs_f64() / p50.as_secs_f64()).ln() / Z99;
                scaled(p50, (spread * normal(random)).exp(), most)
            }
        }
    }
}

/// So many times a duration; whatever isn't a sensible length is the greatest.
fn scaled(duration: Duration, times: f64, most: Duration) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * times).map_or(most, |drawn| drawn.min(most))
}

/// A draw of the standard normal distribution (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DRAWS: usize = 20_000;

    /// Draws in milliseconds, in order.
    fn drawn(delay: Delay) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| delay.draw(&mut random).as_secs_f64() * 1_000.0).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    fn near(value: f64, wanted: f64) -> bool {
        (value / wanted - 1.0).abs() < 0.05
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_span_is_drawn_from_end_to_end() {
        let all = drawn(Delay::Uniform { least: ms(100), most: ms(600) });
        assert!(all[0] >= 100.0 && all[DRAWS - 1] <= 600.0);
        assert!(near(all[DRAWS / 2], 350.0) && near(all[DRAWS / 100], 105.0));
        assert_eq!(Delay::fixed(ms(40)).draw(&mut fastrand::Rng::with_seed(1)), ms(40));
    }

    #[test]
    fn percentiles_and_means_come_out_as_they_were_asked_for() {
        let all = drawn(Delay::Lognormal { p50: ms(80), p99: ms(2_000), most: ms(60_000) });
        assert!(near(all[DRAWS / 2], 80.0) && (all[DRAWS * 99 / 100] / 2_000.0 - 1.0).abs() < 0.15);
        let all = drawn(Delay::Exponential { mean: ms(200), most: ms(60_000) });
        assert!(near(all.iter().sum::<f64>() / DRAWS as f64, 200.0));
        assert!(near(all[DRAWS / 2], 200.0 * 2f64.ln()));
    }

    #[test]
    fn no_draw_is_longer_than_the_longest() {
        let all = drawn(Delay::Lognormal { p50: ms(80), p99: ms(2_000), most: ms(500) });
        assert!(all[DRAWS - 1] <= 500.0 && near(all[DRAWS / 2], 80.0));
        let none = Delay::Lognormal { p50: Duration::ZERO, p99: ms(1), most: ms(9) };
        assert!(none.draw(&mut fastrand::Rng::with_seed(1)) <= ms(9));
    }
}
