//! The faults of a run: how each is brought about, how it is healed, and how one knows that it hit.

use crate::disk::DiskFault;
use crate::house::House;
use crate::merchants::Street;
use crate::operators::{Meddling, Orders};
use crate::proxy::WireFault;
use crate::setup::Standing;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Something that goes wrong in the middle of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    SwitchKilled,
    BankKilled,
    BothKilled,
    SwitchPaused,
    BankPaused,
    SwitchDrained,
    MerchantsHangUp,
    BankCutsOver,
    BankSignsOff,
    Wire(WireFault),
    Disk(DiskFault),
    Operator(Meddling),
}

/// Faults go on until they have hit, but not for ever.
const HITS_WITHIN: Duration = Duration::from_secs(20);

/// Refusals or syncs after which a disk has been in trouble for long enough.
const HITS_WANTED: u64 = 8;

/// What a fault is brought upon.
pub struct Scene<'a> {
    pub house: &'a House,
    pub standing: &'a mut Standing,
    pub street: &'a Street,
    pub random: &'a mut fastrand::Rng,
    pub orders: &'a mut Orders,
}

impl Fault {
    pub const PROCESS: &'static [Fault] = &[
        Fault::SwitchKilled,
        Fault::BankKilled,
        Fault::BothKilled,
        Fault::SwitchPaused,
        Fault::BankPaused,
        Fault::SwitchDrained,
        Fault::MerchantsHangUp,
        Fault::BankCutsOver,
        Fault::BankSignsOff,
    ];
    pub const WIRE: &'static [Fault] = &[
        Fault::Wire(WireFault::Lost),
        Fault::Wire(WireFault::Doubled),
        Fault::Wire(WireFault::Late),
        Fault::Wire(WireFault::Swapped),
        Fault::Wire(WireFault::Torn),
        Fault::Wire(WireFault::Reset),
        Fault::Wire(WireFault::DeafBank),
        Fault::Wire(WireFault::DumbBank),
        Fault::Wire(WireFault::Crumbled),
        Fault::Wire(WireFault::Garbled),
        Fault::Wire(WireFault::Refused),
    ];
    pub const DISK: &'static [Fault] = &[
        Fault::Disk(DiskFault::Full),
        Fault::Disk(DiskFault::ReadOnly),
        Fault::Disk(DiskFault::Held),
        Fault::Disk(DiskFault::SyncFails),
        Fault::Disk(DiskFault::Slow),
    ];
    pub const OPERATOR: &'static [Fault] = &[
        Fault::Operator(Meddling::HostDown),
        Fault::Operator(Meddling::HostInMaintenance),
        Fault::Operator(Meddling::LinksOff),
        Fault::Operator(Meddling::Drain),
        Fault::Operator(Meddling::Cutover),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::SwitchKilled => "switch killed (SIGKILL); requests on their way",
            Fault::BankKilled => "bank killed (SIGKILL); requests on their way",
            Fault::BothKilled => "switch and banks killed; requests on their way",
            Fault::SwitchPaused => "switch stopped (SIGSTOP); requests on their way",
            Fault::BankPaused => "bank stopped (SIGSTOP); requests on their way",
            Fault::SwitchDrained => "switch drained (SIGTERM); requests on their way",
            Fault::MerchantsHangUp => "merchants hang up; requests given up",
            Fault::BankCutsOver => "bank cuts over; requests on their way",
            Fault::BankSignsOff => "bank signs off; requests on their way",
            Fault::Wire(WireFault::Lost) => "messages lost",
            Fault::Wire(WireFault::Doubled) => "messages doubled",
            Fault::Wire(WireFault::Late) => "messages held up",
            Fault::Wire(WireFault::Swapped) => "messages overtaken",
            Fault::Wire(WireFault::Torn) => "lines closed in the middle of a message",
            Fault::Wire(WireFault::Reset) => "lines reset",
            Fault::Wire(WireFault::DeafBank) => "half-open lines to the bank; messages swallowed",
            Fault::Wire(WireFault::DumbBank) => "half-open lines from the bank; messages swallowed",
            Fault::Wire(WireFault::Crumbled) => "messages in crumbs and in heaps",
            Fault::Wire(WireFault::Garbled) => "messages garbled",
            Fault::Wire(WireFault::Refused) => "lines cut and refused",
            Fault::Disk(DiskFault::Full) => "disk full; requests refused",
            Fault::Disk(DiskFault::ReadOnly) => "store read-only; requests refused",
            Fault::Disk(DiskFault::Held) => "store held by another program; requests refused",
            Fault::Disk(DiskFault::SyncFails) => "sync fails (EIO); syncs",
            Fault::Disk(DiskFault::Slow) => "slow disk; syncs",
            Fault::Operator(Meddling::HostDown) => "operator takes a host down and up; orders",
            Fault::Operator(Meddling::HostInMaintenance) => "operator puts a host into maintenance; orders",
            Fault::Operator(Meddling::LinksOff) => "operator signs links off and on; orders",
            Fault::Operator(Meddling::Drain) => "operator drains the switch; requests on their way",
            Fault::Operator(Meddling::Cutover) => "operator cuts a host over; orders",
        }
    }

    /// Why this machine does not let us make it, where it doesn't.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Fault::Disk(fault) => fault.arranged().err(),
            _ => None,
        }
    }

    /// Brings it about, lets it last, heals it. Gives how often it hit.
    pub async fn happen(self, scene: &mut Scene<'_>) -> u64 {
        match self {
            Fault::SwitchKilled => scene.kill(true, &[]).await,
            Fault::BankKilled => {
                let bank = scene.any_bank();
                scene.kill(false, &[bank]).await
            }
            Fault::BothKilled => {
                let banks: Vec<usize> = (0..scene.standing.banks.len()).collect();
                scene.kill(true, &banks).await
            }
            Fault::SwitchPaused => scene.pause(true).await,
            Fault::BankPaused => scene.pause(false).await,
            Fault::SwitchDrained => scene.drain().await,
            Fault::MerchantsHangUp => scene.hang_up().await,
            Fault::BankCutsOver => scene.bank_acts("cutover").await,
            Fault::BankSignsOff => scene.bank_acts("sign-off").await,
            Fault::Operator(meddling) => scene.meddle(meddling).await,
            Fault::Wire(fault) => scene.disturb(fault).await,
            Fault::Disk(fault) => scene.trouble(fault).await,
        }
    }
}

impl Scene<'_> {
    /// One of the banks.
    pub fn any_bank(&mut self) -> usize {
        self.random.usize(..self.standing.banks.len())
    }

    pub async fn last(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(millis))).await;
    }

    fn asking(&self) -> u64 {
        self.street.asking.load(Ordering::Relaxed)
    }

    /// A moment at which somebody waits for an answer.
    pub async fn busy_moment(&mut self) -> u64 {
        self.last(1..300).await;
        let began = Instant::now();
        while self.asking() == 0 && began.elapsed() < HITS_WITHIN {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.asking()
    }

    async fn kill(&mut self, switch: bool, banks: &[usize]) -> u64 {
        let hits = self.busy_moment().await;
        if switch {
            self.standing.serve.kill();
        }
        banks.iter().for_each(|bank| self.standing.banks[*bank].kill());
        self.last(1..800).await;
        for bank in banks {
            self.standing.banks[*bank] = self.house.bank_at(*bank);
        }
        if switch {
            self.standing.serve = self.house.serve();
        }
        hits
    }

    async fn pause(&mut self, switch: bool) -> u64 {
        let hits = self.busy_moment().await;
        let (bank, millis) = (self.any_bank(), self.random.u64(200..4000));
        let process = if switch { &self.standing.serve } else { &self.standing.banks[bank] };
        process.pause();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        process.go_on();
        hits
    }

    async fn drain(&mut self) -> u64 {
        let hits = self.busy_moment().await;
        assert!(self.standing.serve.terminate(), "SIGTERM drains and exits 0");
        self.standing.serve = self.house.serve();
        hits
    }

    async fn bank_acts(&mut self, act: &str) -> u64 {
        let (hits, bank) = (self.busy_moment().await, self.any_bank());
        self.house.bank_act(bank, act);
        self.last(300..1500).await;
        hits
    }

    async fn hang_up(&mut self) -> u64 {
        let before = self.street.hung_up.load(Ordering::Relaxed);
        self.street.hang_up(true);
        self.last(1000..2500).await;
        self.street.hang_up(false);
        self.street.hung_up.load(Ordering::Relaxed) - before
    }

    async fn disturb(&mut self, fault: WireFault) -> u64 {
        let line = self.any_bank();
        self.standing.proxies[line].inflict(fault);
        self.last(700..3000).await;
        let (proxy, began) = (&self.standing.proxies[line], Instant::now());
        while proxy.hit() == 0 && began.elapsed() < HITS_WITHIN {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        proxy.heal();
        proxy.hit()
    }

    /// A disk that takes no writes refuses payments and says that it is not ready; a slow one does neither.
    async fn trouble(&mut self, fault: DiskFault) -> u64 {
        let refused = |street: &Street| street.refused("store_unavailable") + street.refused("outcome_not_recorded");
        let before = refused(self.street);
        let trouble = fault.inflict(self.standing.serve.id(), &self.house.store());
        if fault != DiskFault::Slow {
            self.house.until_ready(false).await;
        }
        self.last(500..2000).await;
        let began = Instant::now();
        let hits = |street: &Street| trouble.meddled().unwrap_or(refused(street) - before);
        while hits(self.street) < HITS_WANTED && began.elapsed() < HITS_WITHIN {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let hits = hits(self.street);
        drop(trouble);
        self.house.until_ready(true).await;
        hits
    }
}
