//! Stand-in: a payment is approved in the bank's place, within limits that were agreed with it.
//!
//! Only what was certainly never sent, only while no host that might take it is up, and never a card that came with a
//! PIN. The merchant is told that it is a stand-in, and the bank is owed an advice of it (0120, for a sale 0220)
//! without a verification code; what the bank then refuses is an exception that a person must settle, and never a
//! decline told afterwards.

use super::sending::Verdict;
use super::settings::StandInLimit;
use super::*;
use crate::payment::{
    Amount, Brand, CardPrint, MerchantId, MessageKind, MessageValues, OperationKind, PosEntry, ResultCode,
};
use crate::routing::Health;
use crate::transaction::{Obligation, ObligationKind, Operation};

/// What a payment is promised in the bank's place.
pub(super) struct StandIn {
    /// Whose card.
    pub card: CardPrint,
    /// What is owed to the bank for it.
    pub advice: Obligation,
}

impl Switch {
    /// Approves the open operation in the place of its bank, if that was agreed.
    pub(super) fn stand_in(&mut self, id: PaymentId) -> Option<Verdict> {
        let motion = self.motions.get(&id)?;
        let (open, payment) = (motion.open.as_ref()?, motion.payment.as_ref()?);
        let operation = payment.operation(open.operation).filter(|operation| may_be_promised(operation))?.clone();
        if open.present.as_ref().is_some_and(|present| present.pin.is_some()) {
            return None;
        }
        let card = open.card_print?;
        let place = self.bank_named(&operation.message.host)?;
        let (brand, merchant) = (payment.origin.card.brand, payment.origin.merchant.clone());
        if self.candidates_of(id)?.into_iter().any(|(_, health)| health == Health::Up) {
            return None;
        }
        self.make_room();
        let limits = self.banks[place].settings.stand_in.as_ref().filter(|agreed| !agreed.negative.contains(&card))?;
        let limit = limits.limits.iter().find(|limit| limit.is_for(brand, &merchant, operation.amount))?;
        let within = operation.amount.minor() <= limit.amount_max;
        if !within || !self.exposure.admits((place, card), operation.amount, self.now.wall, limit) {
            return None;
        }
        let advice = self.stand_in_advice(place, id, &operation)?;
        self.exposure.add((place, card), operation.amount, self.now.wall);
        self.observe(Observation::StoodIn { host: operation.message.host.clone() });
        let approved = Some(operation.amount);
        Some(Verdict {
            approved,
            stand_in: Some(Box::new(StandIn { card, advice })),
            ..Verdict::plain(ResultCode::Approved)
        })
    }

    /// The advice of it: the request's values with the advice's head, under numbers of its own.
    fn stand_in_advice(&mut self, place: usize, id: PaymentId, operation: &Operation) -> Option<Obligation> {
        let number = {
            let payment = self.motions.get(&id)?.payment.as_ref()?;
            submitting::next_obligation(payment)
        };
        let kind = advice_kind(operation.kind);
        let (entry, amount) = (operation.message.entry, operation.amount);
        let message = self.new_message(place, kind, amount, entry, None).ok()?;
        // It is held again with the obligation, once that is durable.
        self.banks[place].numbers.release(message.stan);
        let original = &operation.message;
        let (consent, purchase) = (original.consent.clone(), original.purchase.clone());
        let message =
            MessageValues { rrn: original.rrn, local_time: original.local_time, consent, purchase, ..message };
        Some(Obligation { number, kind: ObligationKind::Advice, operation: operation.number, message })
    }

    /// A promise of an earlier run, of which the bank does not know yet.
    pub(super) fn recall_promise(&mut self, operation: &Operation) {
        let place = self.bank_named(&operation.message.host);
        if let (Some(card), Some(place)) = (operation.stand_in, place) {
            self.exposure.add((place, card), operation.amount, operation.created_at);
        }
    }

    fn make_room(&mut self) {
        if self.exposure.is_full() {
            let agreed = self.banks.iter().map(|bank| bank.settings.stand_in.as_ref());
            let windows = agreed.map(|agreed| agreed.map_or(&[][..], |agreed| &agreed.limits));
            let longest: Vec<_> =
                windows.map(|limits| limits.iter().map(|limit| limit.window).max().unwrap_or_default()).collect();
            self.exposure.forget(self.now.wall, |place| longest[place]);
        }
    }
}

/// The message that tells a bank of what was done in its place.
pub(super) fn advice_kind(kind: OperationKind) -> MessageKind {
    match kind {
        OperationKind::Sale => MessageKind::StandInSale,
        _ => MessageKind::StandInAdvice,
    }
}

/// What begins a payment with a card that has no PIN with it: how the card was entered says so.
fn may_be_promised(operation: &Operation) -> bool {
    let without_pin = matches!(operation.message.entry, PosEntry::Ecommerce | PosEntry::MailOrder);
    operation.kind.begins_payment() && operation.told_at.is_none() && without_pin
}

impl StandInLimit {
    fn is_for(&self, brand: Brand, merchant: &MerchantId, amount: Amount) -> bool {
        (self.brands.is_empty() || self.brands.contains(&brand))
            && (self.merchants.is_empty() || self.merchants.contains(merchant))
            && self.currency == amount.currency()
    }
}
