//! A bank as the world keeps it: the simulator's issuer, its ledger that outlives it, and whether it runs.

use crate::plan::{Micros, Plan};
use isthmus::simulator::{DEMO, Entry, Issuer, Profile, Scenario};
use std::sync::{Arc, LazyLock};

/// How the bank reads and answers.
const PROFILE: &str = include_str!("../../specs/issuer/iso8583-1987.toml");
/// A card of the demo scenario whose bank asks twice to come again later.
const RELUCTANT: &str = r#"
[[rule]]
about = "the first two advices and reversals of each payment are to come again later"
when = { card = ["5555555555554444"], mti = ["0220", "0400", "0420"], nth_to = 2, counted = "payment" }
then = { code = "96" }
"#;
/// A card whose bank takes nothing that was promised in its place.
const DISTRUSTFUL: &str = r#"
[[rule]]
about = "refuses what was approved in the bank's place"
when = { card = ["4242424242424242"], mti = ["0120", "0220"], kind = ["authorisation", "sale"] }
then = { code = "05" }
"#;

/// A bank.
pub struct Bank {
    place: usize,
    pub issuer: Issuer,
    pub up: bool,
    /// Counts its starts: what an earlier life planned is not done.
    pub life: u32,
    /// All that it ever booked.
    pub entries: Vec<Entry>,
    /// Until then it swallows everything but network management.
    pub hangs_until: Micros,
}

impl Bank {
    pub fn new(place: usize, plan: &Plan) -> Bank {
        Bank { place, issuer: issuer(place, plan), up: true, life: 0, entries: Vec::new(), hangs_until: 0 }
    }

    /// Keeps what it booked of its own accord.
    pub fn keep_entries(&mut self) {
        self.entries.extend(self.issuer.take_entries());
    }

    /// Its process is gone.
    pub fn dies(&mut self) {
        self.up = false;
        self.life += 1;
    }

    /// It runs again, and knows what its ledger says.
    pub fn comes_back(&mut self, plan: &Plan) {
        self.up = true;
        self.issuer = issuer(self.place, plan);
        self.entries.iter().for_each(|entry| self.issuer.restore(entry));
    }
}

/// The bank's profile with each answer to the reversal of something unseen, and its scenario; read once.
struct BankFiles {
    approving: Arc<Profile>,
    refusing: Arc<Profile>,
    scenario: Arc<Scenario>,
}

impl BankFiles {
    fn read() -> BankFiles {
        let profile = |code: &str| {
            let text = PROFILE.replace("reversal_unseen = \"00\"", &format!("reversal_unseen = \"{code}\""));
            Arc::new(Profile::read("profile", &text).expect("it reads"))
        };
        let scenario = Scenario::read("scenario", &format!("{DEMO}{RELUCTANT}{DISTRUSTFUL}")).expect("it reads");
        BankFiles { approving: profile("00"), refusing: profile("25"), scenario: Arc::new(scenario) }
    }
}

fn issuer(place: usize, plan: &Plan) -> Issuer {
    static FILES: LazyLock<BankFiles> = LazyLock::new(BankFiles::read);
    let profile = if plan.unseen_code == "00" { &FILES.approving } else { &FILES.refusing };
    let spec = Arc::clone(plan.settings.hosts[place].translation.spec());
    let seed = plan.seed ^ (place as u64) << 48;
    let keys = plan.keys.as_ref().map(|keys| keys.of_banks.clone());
    Issuer::new(spec, Arc::clone(profile), Arc::clone(&FILES.scenario), seed).with_keys(keys)
}
