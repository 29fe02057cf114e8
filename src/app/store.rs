//! The journal as the switch and the doors see it.

use super::owner::Commit;
use crate::clock::Clock;
use crate::edge::{Archive, ArchiveUnavailable};
use crate::journal::{Journal, JournalError, Reader, Recovered, Settings};
use crate::payment::{MerchantId, PaymentId};
use crate::switch::{Event, Switch};
use crate::telemetry;
use crate::transaction::{IdempotencyKey, Listing, Page, Record};
use crate::vault::KeyRing;
use std::time::Duration;
use tokio::sync::mpsc;

/// Opens the journal. Its commits come out as one message each; loaded payments come back as events.
pub(super) fn open(
    settings: &Settings,
    keys: KeyRing,
    events: &mpsc::Sender<Event>,
) -> Result<(Journal, Recovered, mpsc::UnboundedReceiver<Commit>), JournalError> {
    let (commits, received) = mpsc::unbounded_channel();
    // The switch's credit bounds what can be on its way; a receiver that is gone has no use for it.
    let committed = Box::new(move |commit: Commit| drop(commits.send(commit)));
    let events = events.clone();
    let loaded = Box::new(move |payment, found| drop(events.blocking_send(Event::Loaded { payment, found })));
    let (journal, recovered) = Journal::open(settings, keys, committed, loaded)?;
    Ok((journal, recovered, received))
}

/// Gives the switch what was in motion, before anything else happens to it.
pub(super) fn resume(mut switch: Switch, recovered: Recovered, clock: Clock) -> (Switch, Vec<crate::switch::Effect>) {
    let count = recovered.open.len();
    if count > 0 {
        tracing::info!(payments = count, "taking up what the last run left in motion");
    }
    let mut effects = switch.handle(clock.now(), Event::Numbers(recovered.numbers));
    effects.extend(switch.handle(clock.now(), Event::Hosts(recovered.hosts)));
    effects.extend(switch.handle(clock.now(), Event::Resume(recovered.open)));
    (switch, effects)
}

/// How often the books are asked what waits for a person.
const PARKED_EVERY: Duration = Duration::from_secs(10);

/// Shows what waits for a person, as long as it runs.
pub(super) async fn show_parked(reader: Reader) {
    loop {
        let books = reader.clone();
        if let Ok(Ok(count)) = tokio::task::spawn_blocking(move || books.count_exceptions()).await {
            telemetry::show_parked(count);
        }
        tokio::time::sleep(PARKED_EVERY).await;
    }
}

/// The store as the merchants' door reads it.
pub(super) struct Reading(pub Reader);

impl Archive for Reading {
    fn payment(&self, id: PaymentId) -> Result<Vec<Record>, ArchiveUnavailable> {
        self.0.payment(id).map(Option::unwrap_or_default).map_err(unavailable)
    }

    fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<Option<PaymentId>, ArchiveUnavailable> {
        self.0.by_key(merchant, key).map(|found| found.first().copied()).map_err(unavailable)
    }

    fn of_period(
        &self,
        merchant: &MerchantId,
        period: &str,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ArchiveUnavailable> {
        self.0.of_period(merchant, period, limit).map_err(unavailable)
    }

    fn list(&self, listing: &Listing) -> Result<Page, ArchiveUnavailable> {
        self.0.list(listing).map_err(unavailable)
    }
}

fn unavailable(error: JournalError) -> ArchiveUnavailable {
    tracing::error!(%error, "the store cannot be read");
    ArchiveUnavailable
}
