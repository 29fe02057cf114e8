//! A merchant's share of the door: how often it may ask, and how much of it may be open at once.
//!
//! The pace is the generic cell rate algorithm of `governor`. What is beyond it is refused at once and costs nothing
//! further; nobody queues.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much of the door is a merchant's; absent, as much as there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShareSettings {
    /// Requests of any kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<NonZeroU32>,
    /// How many may come at once after a rest; as many as in a second if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// Operations asked for and not answered yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<NonZeroU32>,
}

/// A share in use.
#[derive(Debug)]
pub struct Share {
    settings: ShareSettings,
    pace: Option<DefaultDirectRateLimiter>,
    places: Option<Arc<Semaphore>>,
}

/// One operation's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

/// More than the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Too often; after this time it is not.
    Pace(Duration),
    /// Too much at once.
    Places,
}

impl Share {
    /// A share of which nothing is used.
    pub fn new(settings: &ShareSettings) -> Share {
        let quota = settings.requests_per_second.map(|rate| {
            let quota = Quota::per_second(rate);
            settings.burst.map_or(quota, |burst| quota.allow_burst(burst))
        });
        let places = settings.in_flight.map(|count| Arc::new(Semaphore::new(count.get() as usize)));
        Share { settings: settings.clone(), pace: quota.map(RateLimiter::direct), places }
    }

    /// What it was made from.
    pub fn settings(&self) -> &ShareSettings {
        &self.settings
    }

    /// Counts a request.
    pub fn count(&self) -> Result<(), Exceeded> {
        let Some(pace) = &self.pace else { return Ok(()) };
        pace.check().map_err(|early| Exceeded::Pace(early.wait_time_from(DefaultClock::default().now())))
    }

    /// Takes a place for an operation.
    pub fn place(&self) -> Result<Place, Exceeded> {
        let taken = self.places.as_ref().map(|places| Arc::clone(places).try_acquire_owned()).transpose();
        taken.map(Place).map_err(|_none_left| Exceeded::Places)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn share(text: &str) -> Share {
        Share::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn more_than_a_burst_is_too_often() {
        let share = share("requests_per_second = 1\nburst = 3");
        assert!((0..3).all(|_| share.count().is_ok()));
        let Err(Exceeded::Pace(wait)) = share.count() else { panic!("the fourth of three") };
        assert!(wait <= Duration::from_secs(1));
    }

    #[test]
    fn a_place_comes_back() {
        let share = share("in_flight = 1");
        let place = share.place().unwrap();
        assert_eq!(share.place().err(), Some(Exceeded::Places));
        drop(place);
        assert!(share.place().is_ok() && share.count().is_ok());
    }

    #[test]
    fn without_settings_there_is_no_bound() {
        let share = share("");
        let places: Vec<_> = (0..1000).map(|_| share.place().unwrap()).collect();
        assert!(places.len() == 1000 && (0..1000).all(|_| share.count().is_ok()));
    }
}
