//! The `[[routes]]` of a configuration: read whole, every mistake with its key, and no route that is never reached.

use super::conditions::{BinRange, Conditions};
use super::hours::{Hours, day_of, minute_of};
use super::{Instrument, Route, Routes};
use crate::payment::{Brand, Currency, MerchantId, Name, OperationKind};
use jiff::tz::TimeZone;
use serde::Deserialize;

/// One `[[routes]]` table: the conditions that have to hold, and where it leads. What is not named is not asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSettings {
    /// Leading digits of the card number: `411111`, or `400000-419999`.
    pub bins: Vec<String>,
    /// Card schemes, by their names in the API.
    pub brands: Vec<String>,
    /// How the merchant is paid: `card`, or `card_present` where a terminal read it.
    pub instruments: Vec<String>,
    /// `authorisation` or `sale`.
    pub operations: Vec<String>,
    /// ISO 4217 codes.
    pub currencies: Vec<String>,
    /// Least amount in minor units of the one currency.
    pub amount_min: Option<u64>,
    /// Greatest amount in minor units of the one currency.
    pub amount_max: Option<u64>,
    /// Merchants by their ids.
    pub merchants: Vec<String>,
    /// Part of the day.
    pub hours: Option<HoursSettings>,
    /// Names of hosts, the preferred one first.
    pub hosts: Vec<String>,
}

/// Part of the day at some place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoursSettings {
    /// Its beginning, `hh:mm`.
    #[serde(default = "midnight")]
    from: String,
    /// Its end, not included, `hh:mm`.
    #[serde(default = "midnight")]
    to: String,
    /// `mon` to `sun`; all of them if absent.
    #[serde(default)]
    days: Vec<String>,
    /// Name of a time zone (`Europe/Berlin`) or an offset (`+02:00`).
    zone: String,
}

fn midnight() -> String {
    "00:00".to_owned()
}

/// A mistake in a `[[routes]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMistake {
    /// The dotted key, the route by its number from 0.
    pub key: String,
    /// What was expected.
    pub expected: String,
}

impl Routes {
    /// Checks routes against the hosts there are. `zone` finds a time zone by its name.
    pub fn read(
        settings: &[RouteSettings],
        hosts: &[Name],
        zone: impl Fn(&str) -> Option<TimeZone>,
    ) -> Result<Routes, Vec<RouteMistake>> {
        let mut mistakes = Vec::new();
        let mut routes: Vec<Route> = Vec::with_capacity(settings.len());
        for (number, route) in settings.iter().enumerate() {
            let mut reading = Reading { number, mistakes: &mut mistakes };
            routes.push(reading.route(route, hosts, &zone));
        }
        if mistakes.is_empty() {
            mistakes = conflicts(&routes);
        }
        if mistakes.is_empty() { Ok(Routes(routes)) } else { Err(mistakes) }
    }
}

/// Routes that an earlier one leaves nothing to, or disputes cards with.
fn conflicts(routes: &[Route]) -> Vec<RouteMistake> {
    let mut found = Vec::new();
    for (number, route) in routes.iter().enumerate() {
        let earlier = || routes[..number].iter().enumerate();
        if let Some((first, _)) = earlier().find(|(_, earlier)| earlier.conditions.cover(&route.conditions)) {
            let expected = format!("a route that can be reached: routes[{first}] takes all that this one names");
            found.push(RouteMistake { key: format!("routes[{number}]"), expected });
        } else if let Some((first, _)) = earlier().find(|(_, earlier)| earlier.conditions.crosses(&route.conditions)) {
            let expected = format!("ranges that lie inside those of routes[{first}] or apart from them");
            found.push(RouteMistake { key: format!("routes[{number}].bins"), expected });
        }
    }
    found
}

/// One route being read.
struct Reading<'a> {
    number: usize,
    mistakes: &'a mut Vec<RouteMistake>,
}

impl Reading<'_> {
    fn route(&mut self, route: &RouteSettings, hosts: &[Name], zone: &impl Fn(&str) -> Option<TimeZone>) -> Route {
        let bins =
            self.each("bins", &route.bins, "1 to 12 leading digits, or two of one length around a dash", |text| {
                BinRange::parse(text)
            });
        let conditions = Conditions {
            bins: self.apart(bins),
            brands: self.each("brands", &route.brands, "visa, mastercard or another brand", Brand::from_name),
            instruments: self.each("instruments", &route.instruments, "card or card_present", Instrument::from_name),
            operations: self.each(
                "operations",
                &route.operations,
                "authorisation, sale, verification or balance_inquiry",
                operation,
            ),
            currencies: self.each("currencies", &route.currencies, "codes of ISO 4217", Currency::from_code),
            merchants: self.each("merchants", &route.merchants, "ids of merchants", MerchantId::new),
            hours: route.hours.as_ref().and_then(|hours| self.hours(hours, zone)),
            amounts: self.amounts(route),
        };
        Route { conditions, hosts: self.hosts(&route.hosts, hosts) }
    }

    fn each<T>(&mut self, key: &str, texts: &[String], expected: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match read(text) {
                Some(value) => values.push(value),
                None => self.wrong(key, expected),
            }
        }
        values
    }

    fn apart(&mut self, mut bins: Vec<BinRange>) -> Vec<BinRange> {
        bins.sort();
        if bins.windows(2).any(|pair| matches!(pair, [a, b] if a.meets(b))) {
            self.wrong("bins", "ranges that do not overlap");
        }
        bins
    }

    /// An amount in minor units means something in one currency only.
    fn amounts(&mut self, route: &RouteSettings) -> Option<(u64, u64)> {
        if route.amount_min.is_none() && route.amount_max.is_none() {
            return None;
        }
        let (least, most) = (route.amount_min.unwrap_or(0), route.amount_max.unwrap_or(u64::MAX));
        if least > most {
            self.wrong("amount_min", "an amount not above amount_max");
        }
        if route.currencies.len() != 1 {
            self.wrong("currencies", "exactly one currency beside amount_min or amount_max");
        }
        Some((least, most))
    }

    fn hours(&mut self, hours: &HoursSettings, zone: &impl Fn(&str) -> Option<TimeZone>) -> Option<Hours> {
        let found = zone(&hours.zone);
        if found.is_none() {
            self.wrong("hours.zone", "a time zone such as Europe/Berlin, or an offset such as +02:00");
        }
        let days = self.each("hours.days", &hours.days, "mon, tue, wed, thu, fri, sat or sun", day_of);
        let from = self.minute("hours.from", &hours.from);
        let to = self.minute("hours.to", &hours.to);
        Some(Hours { zone: found?, days, from: from?, to: to? })
    }

    fn minute(&mut self, key: &str, text: &str) -> Option<u16> {
        let minute = minute_of(text);
        if minute.is_none() {
            self.wrong(key, "a time such as 08:30");
        }
        minute
    }

    fn hosts(&mut self, names: &[String], hosts: &[Name]) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::with_capacity(names.len());
        for name in names {
            match hosts.iter().position(|host| host.as_str() == name) {
                Some(place) if places.contains(&place) => self.wrong("hosts", &format!("{name:?} once only")),
                Some(place) => places.push(place),
                None => {
                    let known: Vec<&str> = hosts.iter().map(Name::as_str).collect();
                    self.wrong("hosts", &format!("names of hosts ({}); {name:?} is none", known.join(", ")));
                }
            }
        }
        if names.is_empty() {
            self.wrong("hosts", "the name of at least one host");
        }
        places
    }

    fn wrong(&mut self, key: &str, expected: &str) {
        let key = format!("routes[{}].{key}", self.number);
        self.mistakes.push(RouteMistake { key, expected: expected.to_owned() });
    }
}

/// Only what begins a payment is routed, and what only asks.
fn operation(name: &str) -> Option<OperationKind> {
    use OperationKind::{Authorisation, BalanceInquiry, Sale, Verification};
    [Authorisation, Sale, Verification, BalanceInquiry].into_iter().find(|kind| kind.name() == name)
}
