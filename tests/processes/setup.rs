//! How the house is set up for some rounds: which banks there are, who dials whom, what lies over the lines, and in
//! which form each bank wants to be told. Between two setups the switch drains and starts again under the other one.

use crate::house::House;
use crate::process::Process;
use crate::proxy::{Dialler, Proxy};
use crate::seal::Seal;
use std::fmt::Write;

/// A setup.
pub struct Setup {
    pub name: &'static str,
    pub hosts: &'static [Host],
}

/// A bank as the switch knows it.
pub struct Host {
    pub name: &'static str,
    pub acquirer: &'static str,
    dialler: Dialler,
    sealed: bool,
    /// Whether its messages bear MACs, under keys that it brings over the line.
    keyed: bool,
    forms: &'static str,
}

/// How this bank is told of what, where it is not as most are.
const ASKED: &str = "sale = \"dual\"\ncapture = \"request\"\nrefund = \"awaited\"\nvoid = \"0400\"\n\
                     reversal = \"0400\"\nreversal_stan = \"new\"\nrepeat = \"unchanged\"\nreply_on = \"same\"\n\
                     release = true\n";
/// Another one that is not.
const TOLD: &str = "refund = \"advice\"\nvoid = \"request\"\nreply_on = \"any\"\n";

/// The key under which keys come over the line.
const ZONE: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";
/// A dialect whose keys are changed often, and at once after MACs that were wrong.
const KEYED: &str = "extends = \"iso8583-1987-ascii\"\n[keys.mac]\nmethod = \"x9.19\"\n[keys.pin]\nformat = 0\n\
                     [keys.exchange]\nby = \"answer\"\nelement = 48\noverlap_ms = 3000\nmax_age_ms = 2000\n\
                     mac_errors = 1\ncomplaints = [\"98\"]\nkeys = [{ use = \"mac\", length = 16, check_value = 3 }, \
                     { use = \"pin\", length = 16, check_value = 3 }]\n";

/// The first bank; its books began with the demo.
const NORTH: Host =
    Host { name: "demo-bank", acquirer: "123456", dialler: Dialler::Switch, sealed: false, keyed: false, forms: "" };
/// Another one.
pub const SOUTH: Host = Host { name: "south", acquirer: "654321", ..NORTH };

pub const SETUPS: &[Setup] = &[
    Setup { name: "one bank", hosts: &[NORTH] },
    Setup { name: "a bank that dials in, under TLS", hosts: &[Host { dialler: Dialler::Bank, sealed: true, ..NORTH }] },
    Setup { name: "a bank in other forms, under TLS", hosts: &[Host { sealed: true, forms: ASKED, ..NORTH }] },
    Setup { name: "a bank with MACs, whose keys change every two seconds", hosts: &[Host { keyed: true, ..NORTH }] },
    Setup { name: "two banks", hosts: &[NORTH, SOUTH] },
    Setup {
        name: "two banks in other forms, one dials in, both under TLS",
        hosts: &[
            Host { sealed: true, forms: TOLD, ..NORTH },
            Host { dialler: Dialler::Bank, sealed: true, forms: ASKED, ..SOUTH },
        ],
    },
];

/// A house that works under a setup.
pub struct Standing {
    pub setup: &'static Setup,
    /// In the order of its hosts, as the proxies are.
    pub banks: Vec<Process>,
    pub proxies: Vec<Proxy>,
    pub serve: Process,
}

impl Standing {
    /// Writes the configurations and starts everything.
    pub async fn begin(house: &House, setup: &'static Setup, seed: u64) -> Standing {
        std::fs::write(house.file("keyed.toml"), KEYED).unwrap();
        std::fs::write(house.file("zone.key"), ZONE).unwrap();
        let mut proxies = Vec::new();
        let mut hosts = String::new();
        for (place, host) in setup.hosts.iter().enumerate() {
            let (far, seal) = host.far(house, place);
            let proxy = Proxy::start(far, host.dialler, seal, seed ^ place as u64).await;
            house.configure_bank(place, &host.bank_config(house, place, &proxy));
            hosts.push_str(&host.config(house, place, &proxy));
            proxies.push(proxy);
        }
        house.configure_hosts(&format!("{hosts}{}", setup.routes()));
        let banks = (0..setup.hosts.len()).map(|place| house.bank_at(place)).collect();
        let serve = house.serve();
        house.until_at_rest().await;
        Standing { setup, banks, proxies, serve }
    }

    /// The switch drains, and the banks end.
    pub fn end(mut self) {
        assert!(self.serve.terminate(), "SIGTERM drains and exits 0");
    }
}

impl Setup {
    /// One half of the cards to one bank, the other to the other, and each to the other one where its own is down.
    fn routes(&self) -> String {
        // The keys that a bank brings are PIN keys too, though nobody here has a PIN.
        let pins = if self.hosts.iter().any(|host| host.keyed) { "[pin]\naccept_software_pin = true\n\n" } else { "" };
        let names: Vec<&str> = self.hosts.iter().map(|host| host.name).collect();
        match names[..] {
            [one, other] => format!(
                "[[routes]]\nbins = [\"4242\", \"400000000001\"]\nhosts = [\"{one}\", \"{other}\"]\n\n\
                 [[routes]]\nhosts = [\"{other}\", \"{one}\"]\n\n{pins}"
            ),
            _ => pins.to_owned(),
        }
    }
}

impl Host {
    /// The end that is dialled, and the seal on the switch's side.
    fn far(&self, house: &House, place: usize) -> (std::net::SocketAddr, Seal) {
        match (self.dialler, self.sealed) {
            (Dialler::Switch, false) => (house.bank_addr(place), Seal::Plain),
            (Dialler::Switch, true) => (house.bank_addr(place), Seal::of_bank(&house.folder())),
            (Dialler::Bank, false) => (house.link_addr(place), Seal::Plain),
            (Dialler::Bank, true) => (house.link_addr(place), Seal::of_dialling_bank(&house.folder())),
        }
    }

    /// A `[[hosts]]` table; the switch is told to be quick.
    fn config(&self, house: &House, place: usize, proxy: &Proxy) -> String {
        let link = match self.dialler {
            Dialler::Switch => format!("connect = \"{}\"", proxy.address),
            Dialler::Bank => format!("listen = \"{}\"\nallow = [\"127.0.0.1\"]", house.link_addr(place)),
        };
        let tls = match (self.sealed, self.dialler) {
            (false, _) => "",
            (true, Dialler::Switch) => "tls = { ca_file = \"ca.pem\", server_name = \"localhost\" }\n",
            (true, Dialler::Bank) => {
                "tls = { ca_file = \"ca.pem\", certificate_file = \"server.pem\", key_file = \"server-key.pem\" }\n"
            }
        };
        let (dialect, keys) = match self.keyed {
            true => ("keyed.toml", "[hosts.keys]\nzone_key_file = \"zone.key\"\n\n"),
            false => ("iso8583-1987-ascii", ""),
        };
        let mut text = format!(
            "[[hosts]]\nname = \"{}\"\nacquirer = \"{}\"\ndialect = \"{dialect}\"\n\
             answer_timeout_ms = 1500\nsend_timeout_ms = 1000\nshare_percent = 100\n{}\n\
             [hosts.retry]\npause_min_ms = 200\npause_max_ms = 1000\n\n{keys}",
            self.name, self.acquirer, self.forms
        );
        for _ in 0..2 {
            write!(text, "[[hosts.links]]\n{link}\n{tls}\n").unwrap();
        }
        text
    }

    fn bank_config(&self, house: &House, place: usize, proxy: &Proxy) -> String {
        let lines = match self.dialler {
            Dialler::Switch => format!("listen = \"{}\"\n", house.bank_addr(place)),
            Dialler::Bank => format!("listen = \"none\"\nconnect = [\"{0}\", \"{0}\"]\n", proxy.address),
        };
        let control = house.bank_control(place);
        let keys =
            if self.keyed { format!("[keys]\nzone_key_hex = \"{ZONE}\"\noverlap_ms = 3000\n") } else { String::new() };
        format!("{lines}control = \"{control}\"\nledger = {:?}\n{keys}", house.bank_ledger(place))
    }
}
