//! Which hosts a new payment may go to, best first: BIN table, brand, currency, amount, merchant, hour and health.
//!
//! A pure function of what is asked, of a moment and of the hosts' health. The first route whose conditions hold is
//! taken; its hosts are the candidates, those that can take traffic before those that cannot. Without any route every
//! host is a candidate, in the configured order. What follows on a payment (capture, void, refund) is not routed: it
//! goes to the payment's own host, wherever the routes would lead by then.

mod conditions;
mod hours;
mod reading;

pub use reading::{RouteMistake, RouteSettings};

use crate::payment::{Amount, Brand, MerchantId, OperationKind, Pan, PosEntry, Wall};
use conditions::Conditions;

/// What is to be routed.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The card.
    pub pan: &'a Pan,
    /// How the merchant is paid.
    pub instrument: Instrument,
    /// [`OperationKind::Authorisation`] or [`OperationKind::Sale`].
    pub operation: OperationKind,
    /// How much.
    pub amount: Amount,
    /// Whose payment it is.
    pub merchant: &'a MerchantId,
    /// When it was asked for.
    pub at: Wall,
}

impl Case<'_> {
    fn brand(&self) -> Brand {
        self.pan.brand()
    }
}

/// How a merchant is paid, as far as a route can tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instrument {
    /// A card number that was keyed in.
    Card,
    /// A card that a terminal read.
    CardPresent,
}

impl Instrument {
    /// The name in the API and in routes.
    pub fn name(self) -> &'static str {
        match self {
            Instrument::Card => "card",
            Instrument::CardPresent => "card_present",
        }
    }

    /// By how the card was entered.
    pub fn of(entry: PosEntry) -> Instrument {
        match entry {
            PosEntry::Ecommerce | PosEntry::MailOrder => Instrument::Card,
            PosEntry::Chip | PosEntry::Contactless | PosEntry::Swipe => Instrument::CardPresent,
        }
    }

    fn from_name(name: &str) -> Option<Instrument> {
        [Instrument::Card, Instrument::CardPresent].into_iter().find(|instrument| instrument.name() == name)
    }
}

/// How a host is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It takes traffic.
    Up,
    /// It left several requests unanswered and is spared for a while.
    Resting,
    /// None of its links is online.
    Down,
}

/// The routes in order, checked. A host is told by its place in the configured order.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<Route>);

#[derive(Clone, Debug)]
struct Route {
    conditions: Conditions,
    hosts: Vec<usize>,
}

impl Routes {
    /// The hosts that may take a payment, best first; none where there are routes and no condition holds. `health`
    /// names every host in the configured order.
    pub fn candidates(&self, case: &Case<'_>, health: &[Health]) -> Vec<usize> {
        let mut candidates = match self.0.iter().find(|route| route.conditions.hold(case)) {
            Some(route) => route.hosts.clone(),
            None if self.0.is_empty() => (0..health.len()).collect(),
            None => Vec::new(),
        };
        // A stable sort: within one state of health the order of the route stays.
        candidates.sort_by_key(|host| health.get(*host).copied().unwrap_or(Health::Down));
        candidates
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::{Currency, Name};
    use jiff::tz::TimeZone;

    const NOON: Wall = Wall(1_795_348_800_000_000); // Sunday 2026-11-22T12:00:00Z
    const UP: [Health; 3] = [Health::Up; 3];

    fn zone(name: &str) -> Option<TimeZone> {
        (name == "UTC").then_some(TimeZone::UTC)
    }

    fn read(text: &str) -> Result<Routes, Vec<RouteMistake>> {
        #[derive(serde::Deserialize)]
        struct File {
            routes: Vec<RouteSettings>,
        }
        let file: File = toml::from_str(text).unwrap();
        Routes::read(&file.routes, &["north", "south", "east"].map(Name::from), zone)
    }

    fn keys(text: &str) -> Vec<String> {
        read(text).unwrap_err().into_iter().map(|mistake| mistake.key).collect()
    }

    struct Asked {
        pan: &'static str,
        minor: u64,
        currency: &'static str,
        merchant: &'static str,
        at: Wall,
        entry: PosEntry,
    }

    const ASKED: Asked = Asked {
        pan: "4111111111111111",
        minor: 1299,
        currency: "EUR",
        merchant: "acme",
        at: NOON,
        entry: PosEntry::Ecommerce,
    };

    fn candidates(routes: &Routes, asked: &Asked, health: &[Health]) -> Vec<usize> {
        let (pan, merchant) = (Pan::parse(asked.pan).unwrap(), MerchantId::new(asked.merchant).unwrap());
        let amount = Amount::new(asked.minor, Currency::from_code(asked.currency).unwrap()).unwrap();
        let (instrument, operation) = (Instrument::of(asked.entry), OperationKind::Sale);
        let case = Case { pan: &pan, instrument, operation, amount, merchant: &merchant, at: asked.at };
        routes.candidates(&case, health)
    }

    #[test]
    fn without_routes_hosts_stand_in_their_order() {
        assert_eq!(candidates(&Routes::default(), &ASKED, &UP), [0, 1, 2]);
    }

    #[test]
    fn hosts_that_take_traffic_come_first() {
        let routes = read("[[routes]]\nhosts = [\"east\", \"north\", \"south\"]\n").unwrap();
        assert_eq!(candidates(&routes, &ASKED, &UP), [2, 0, 1]);
        let health = [Health::Down, Health::Up, Health::Resting];
        assert_eq!(candidates(&routes, &ASKED, &health), [1, 2, 0]);
    }

    #[test]
    fn the_first_route_whose_conditions_all_hold_is_taken() {
        let routes = read(
            r#"
[[routes]]
bins = ["400000-411110", "41111122"]
hosts = ["north"]
[[routes]]
bins = ["411111"]
brands = ["visa"]
operations = ["sale"]
instruments = ["card"]
currencies = ["EUR"]
amount_min = 1000
amount_max = 1299
merchants = ["acme"]
hosts = ["south"]
[[routes]]
hosts = ["east"]
"#,
        )
        .unwrap();
        assert_eq!(candidates(&routes, &ASKED, &UP), [1]);
        assert_eq!(candidates(&routes, &Asked { minor: 1300, ..ASKED }, &UP), [2]);
        assert_eq!(candidates(&routes, &Asked { minor: 999, ..ASKED }, &UP), [2]);
        assert_eq!(candidates(&routes, &Asked { currency: "USD", ..ASKED }, &UP), [2]);
        assert_eq!(candidates(&routes, &Asked { merchant: "other", ..ASKED }, &UP), [2]);
        assert_eq!(candidates(&routes, &Asked { pan: "4111112200000000", ..ASKED }, &UP), [0], "the longer BIN");
        assert_eq!(candidates(&routes, &Asked { pan: "4111101234567890", ..ASKED }, &UP), [0]);
        assert_eq!(candidates(&routes, &Asked { pan: "4111131234567890", ..ASKED }, &UP), [2]);
    }

    #[test]
    fn a_card_that_a_terminal_read_has_routes_of_its_own() {
        let routes =
            read("[[routes]]\ninstruments = [\"card_present\"]\nhosts = [\"east\"]\n[[routes]]\nhosts = [\"north\"]\n");
        let routes = routes.unwrap();
        for (entry, host) in [
            (PosEntry::Ecommerce, 0),
            (PosEntry::MailOrder, 0),
            (PosEntry::Chip, 2),
            (PosEntry::Contactless, 2),
            (PosEntry::Swipe, 2),
        ] {
            assert_eq!(candidates(&routes, &Asked { entry, ..ASKED }, &UP), [host], "{entry:?}");
        }
    }

    #[test]
    fn where_no_condition_holds_there_is_no_candidate() {
        let routes = read("[[routes]]\nbrands = [\"jcb\"]\nhosts = [\"north\"]\n").unwrap();
        assert!(candidates(&routes, &ASKED, &UP).is_empty());
    }

    #[test]
    fn hours_hold_in_their_zone_and_pass_midnight() {
        let night = r#"
[[routes]]
hours = { from = "22:00", to = "06:00", zone = "+02:00" }
hosts = ["south"]
[[routes]]
hosts = ["north"]
"#;
        let plus_two = |name: &str| (name == "+02:00").then(|| jiff::tz::offset(2).to_time_zone());
        #[derive(serde::Deserialize)]
        struct File {
            routes: Vec<RouteSettings>,
        }
        let file: File = toml::from_str(night).unwrap();
        let routes = Routes::read(&file.routes, &["north", "south"].map(Name::from), plus_two).unwrap();
        let at = |hour: i64| Asked { at: Wall(NOON.0 + (hour - 12) * 3_600_000_000), ..ASKED };
        assert_eq!(candidates(&routes, &at(12), &UP[..2]), [0]);
        assert_eq!(candidates(&routes, &at(19), &UP[..2]), [0]);
        assert_eq!(candidates(&routes, &at(20), &UP[..2]), [1], "22:00 there");
        assert_eq!(candidates(&routes, &at(27), &UP[..2]), [1], "05:00 there");
        assert_eq!(candidates(&routes, &at(28), &UP[..2]), [0], "06:00 there");
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let routes = read(
            "[[routes]]\nhours = { days = [\"sun\"], zone = \"UTC\" }\nhosts = [\"south\"]\n\
             [[routes]]\nhosts = [\"north\"]\n",
        );
        let routes = routes.unwrap();
        assert_eq!(candidates(&routes, &ASKED, &UP), [1]);
        let monday = Asked { at: Wall(NOON.0 + 86_400_000_000), ..ASKED };
        assert_eq!(candidates(&routes, &monday, &UP), [0]);
    }

    #[test]
    fn every_mistake_is_told_with_its_key() {
        let wrong = r#"
[[routes]]
bins = ["4111x", "500000-400000"]
brands = ["visum"]
instruments = ["cheque"]
operations = ["refund"]
currencies = ["EUX"]
merchants = ["a b"]
hours = { from = "25:00", zone = "Mars" }
hosts = ["west"]
[[routes]]
amount_min = 5
amount_max = 4
hosts = ["north", "north"]
[[routes]]
hosts = []
"#;
        let expected = [
            "routes[0].bins",
            "routes[0].bins",
            "routes[0].brands",
            "routes[0].instruments",
            "routes[0].operations",
            "routes[0].currencies",
            "routes[0].merchants",
            "routes[0].hours.zone",
            "routes[0].hours.from",
            "routes[0].hosts",
            "routes[1].amount_min",
            "routes[1].currencies",
            "routes[1].hosts",
            "routes[2].hosts",
        ];
        assert_eq!(keys(wrong), expected);
    }

    #[test]
    fn a_route_that_is_never_reached_is_a_mistake() {
        let covered = r#"
[[routes]]
bins = ["400000-449999", "450000-499999"]
hosts = ["north"]
[[routes]]
bins = ["411111", "440000-460000"]
currencies = ["EUR"]
hosts = ["south"]
[[routes]]
hosts = ["east"]
[[routes]]
brands = ["jcb"]
hosts = ["east"]
"#;
        let found = read(covered).unwrap_err();
        assert_eq!(found.iter().map(|m| m.key.as_str()).collect::<Vec<_>>(), ["routes[1]", "routes[3]"]);
        assert!(found[0].expected.contains("routes[0]"), "{}", found[0].expected);
        assert!(found[1].expected.contains("routes[2]"), "{}", found[1].expected);
    }

    #[test]
    fn bin_ranges_that_cross_are_a_mistake() {
        let crossing = r#"
[[routes]]
bins = ["400000-420000"]
hosts = ["north"]
[[routes]]
bins = ["415000-430000"]
hosts = ["south"]
"#;
        assert_eq!(keys(crossing), ["routes[1].bins"]);
        assert_eq!(keys("[[routes]]\nbins = [\"4\", \"41\"]\nhosts = [\"north\"]\n"), ["routes[0].bins"]);
    }
}
