//! The store as the switch's shell drives it: commits that take their time, are refused, or are the last thing that
//! a process does.

use crate::faults::{CrashAt, Instant, RecordKind, instant};
use crate::plan::{MILLI, Micros, SECOND};
use crate::world::{Happening, World};
use isthmus::payment::PaymentId;
use isthmus::switch::{Entry, Event};
use isthmus::transaction::{Body, Delivery};

/// How the store does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    pub refuses: bool,
    /// How long a commit may take, where the store is slow.
    pub slow: Option<Micros>,
}

/// A crash at a commit that comes once the switch acts on it.
#[derive(Clone, Copy, Debug)]
pub struct Dying {
    crash: CrashAt,
    record: RecordKind,
}

impl World {
    pub fn begin_commit(&mut self) {
        if !self.journal.begin() {
            return;
        }
        let random = &mut self.streams.store;
        let after = match self.store.slow {
            Some(longest) => random.u64(100 * MILLI..longest),
            None => random.u64(200..8 * MILLI),
        };
        let run = self.run;
        self.after(after, Happening::Committed { run });
    }

    pub fn committed(&mut self) {
        let refused = self.store.refuses || self.streams.store.u32(0..1000) < self.chances.refused_commit;
        if refused {
            self.tally.fault("commits refused");
        }
        if let Some(crash) = self.crash_due() {
            let record =
                crash.record.unwrap_or_else(|| self.journal.group().next().map_or(RecordKind::Numbers, kind_of));
            if crash.instant != Instant::Acting || refused {
                return self.die_at_commit(crash, record, refused);
            }
            self.dying = Some(Dying { crash, record });
        }
        let committed = self.journal.commit(!refused);
        self.checker.durable(self.now, &committed);
        self.tally.figure("commits", 1);
        for (ticket, result) in committed {
            let after = self.streams.store.u64(0..self.store.slow.map_or(MILLI, |longest| longest / 2));
            if after > SECOND {
                self.tally.fault("commits told seconds late");
            }
            self.tell_after(after, Event::Recorded { ticket, result: result.map(drop) });
        }
        self.begin_commit();
    }

    /// The crash that was waiting for a commit like this one.
    fn crash_due(&mut self) -> Option<CrashAt> {
        let random = &mut self.streams.process;
        if random.u32(0..1000) < self.chances.crash_at_commit {
            return Some(CrashAt { record: None, instant: instant(random), down: random.u64(0..3 * SECOND) });
        }
        let waits = self.crash_at?;
        let fits = waits.record.is_none_or(|record| self.journal.group().any(|entry| kind_of(entry) == record));
        let torn_needs_two = waits.instant != Instant::Torn || self.journal.group().count() > 1;
        if fits && torn_needs_two { self.crash_at.take() } else { None }
    }

    fn die_at_commit(&mut self, crash: CrashAt, record: RecordKind, refused: bool) {
        let size = self.journal.group().count();
        let durable = match crash.instant {
            _ if refused => 0,
            Instant::Before => 0,
            Instant::Torn => self.streams.process.usize(0..=size),
            Instant::After | Instant::Acting => size,
        };
        self.tally.fault(at_record(record));
        self.tally.fault(match durable {
            0 => "crashes before a commit was durable",
            torn if torn < size => "crashes with a torn tail",
            _ => "crashes before a commit was told",
        });
        self.crash_leaving(durable, crash.down);
    }

    /// How many of so many effects are still performed by a process that dies between them.
    pub fn dies_among(&mut self, event_is_record: bool, effects: usize) -> Option<(usize, Micros)> {
        if !event_is_record || effects == 0 {
            return None;
        }
        let Dying { crash, record } = self.dying.take()?;
        self.tally.fault(at_record(record));
        self.tally.fault("crashes between effects");
        Some((self.streams.process.usize(0..effects), crash.down))
    }

    pub fn read(&mut self, payment: PaymentId) {
        let refused = self.streams.store.u32(0..1000) < self.chances.refused_read;
        if refused {
            self.tally.fault("reads refused");
        }
        let found = if refused { Err(()) } else { Ok(self.journal.load(payment).map(Box::new)) };
        let after = self.streams.store.u64(0..2 * MILLI);
        self.tell_after(after, Event::Loaded { payment, found });
    }

    pub fn store_trouble(&mut self, health: StoreHealth, lasts: Micros) {
        self.store = health;
        self.after(lasts, Happening::StoreWell);
    }
}

fn kind_of(entry: &Entry) -> RecordKind {
    let Entry::Payment { records, .. } = entry else { return RecordKind::Numbers };
    match records.first().map(|record| &record.body) {
        Some(Body::Requested(requested)) if requested.delivery == Delivery::Request => RecordKind::Request,
        Some(Body::Requested(_)) => RecordKind::Advice,
        Some(Body::Settled(_)) => RecordKind::Outcome,
        Some(Body::LateReply { .. } | Body::Reopened { .. }) => RecordKind::LateReply,
        _ => RecordKind::Discharge,
    }
}

fn at_record(record: RecordKind) -> &'static str {
    match record {
        RecordKind::Request => "crashes at the record of a request",
        RecordKind::Advice => "crashes at the record of an advice",
        RecordKind::Outcome => "crashes at the record of an outcome",
        RecordKind::Discharge => "crashes at the end of something owed",
        RecordKind::LateReply => "crashes at the record of a late reply",
        RecordKind::Numbers => "crashes at the reservation of numbers",
    }
}
