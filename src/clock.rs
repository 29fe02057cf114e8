//! The one place that reads a clock for the switch: events get both times here, on their way in.

use crate::payment::{Monotonic, Now, Wall};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock whose monotonic part begins with the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Both times of this moment.
    pub fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: self.monotonic(), wall: Wall(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)) }
    }

    /// The monotonic time of this moment.
    pub fn monotonic(&self) -> Monotonic {
        Monotonic(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The instant of a monotonic time, for a timer of the runtime.
    pub fn instant(&self, at: Monotonic) -> Instant {
        self.origin + std::time::Duration::from_micros(at.0)
    }
}
