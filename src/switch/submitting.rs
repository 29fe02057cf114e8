//! What a merchant asks: admission, legality, and the first record of an operation.

use super::*;
use crate::payment::{Amount, BusinessDate, Card, MessageKind, MessageValues, OperationKind};
use crate::transaction::{
    Body, CardSummary, Delivery, Discharge, Illegal, Obligation, ObligationKind, Origin, Requested,
};

/// An operation that is legal and about to be recorded.
pub(super) struct Planned {
    pub kind: OperationKind,
    pub amount: Amount,
    pub is_final: bool,
    pub allow_partial: bool,
    pub delivery: Delivery,
    pub message: MessageValues,
    pub business_date: BusinessDate,
    pub obligations: Vec<Obligation>,
    /// Obligations that end with it: they were never sent, and what they are about is taken back.
    pub cancelled: Vec<u16>,
    pub origin: Option<Arc<Origin>>,
}

impl Switch {
    pub(super) fn submit(&mut self, submission: Submission) {
        match self.admit(&submission) {
            Err(refusal) => self.refuse(submission.waiter, refusal),
            Ok(()) if submission.command.begins() => self.begin_operation(submission),
            Ok(()) => self.operate(submission),
        }
    }

    fn admit(&self, submission: &Submission) -> Result<(), Refusal> {
        match self.phase {
            Phase::Running => {}
            _ => return Err(Refusal::Draining),
        }
        if self.in_flight >= self.settings.credit {
            return Err(Refusal::Overloaded);
        }
        match self.open_under(submission) {
            Some(open) if open.decided => Err(Refusal::OutcomeNotRecorded),
            Some(_) => Err(Refusal::KeyInFlight),
            None => Ok(()),
        }
    }

    /// The open operation of the payment that has this very key. A payment that begins has another id each time, so
    /// there the store finds the key; unless its outcome is stuck, which is looked for here.
    fn open_under(&self, submission: &Submission) -> Option<&Open> {
        let same = |open: &&Open| open.key == submission.key && open.merchant == submission.merchant;
        match self.motions.get(&submission.command.payment()) {
            Some(motion) => motion.open.as_ref().filter(same),
            None => self.stuck_opens().find(same),
        }
    }

    fn stuck_opens(&self) -> impl Iterator<Item = &Open> {
        self.stuck.iter().filter_map(|payment| self.motions.get(payment)?.open.as_ref())
    }

    /// An operation on a payment that exists: it is loaded if it is at rest, and waits if another is open.
    fn operate(&mut self, submission: Submission) {
        let id = submission.command.payment();
        let bound = self.settings.payment_queue;
        let motion = self.motions.entry(id).or_default();
        if motion.holds_key(&submission.key) {
            return self.refuse(submission.waiter, Refusal::KeyInFlight);
        }
        if motion.queue.len() >= bound {
            return self.refuse(submission.waiter, Refusal::PaymentBusy);
        }
        self.in_flight += 1;
        // One whose first record is on its way is not loaded beside it.
        let load = motion.payment.is_none() && !motion.loading && motion.open.is_none();
        motion.loading |= load;
        motion.queue.push_back(submission);
        if load {
            self.effects.push(Effect::Load { payment: id });
        } else {
            self.ready.push_back(id);
        }
    }

    /// The next operation of a payment, which has no open one.
    pub(super) fn begin_operation(&mut self, submission: Submission) {
        let id = submission.command.payment();
        if submission.command.begins() {
            self.in_flight += 1;
        } else if let Some(answered) = self.answer_without_bank(&submission) {
            self.in_flight -= 1;
            self.ready.push_back(id);
            return self.after_lookup(submission, answered);
        }
        match self.plan(&submission) {
            Ok(planned) => self.record_request(submission, planned),
            Err(refusal) => {
                self.in_flight -= 1;
                self.ready.push_back(id);
                self.refuse(submission.waiter, refusal);
            }
        }
    }

    /// What can be said of an operation on a known payment without planning it.
    fn answer_without_bank(&self, submission: &Submission) -> Option<Lookup> {
        let payment = self.motions.get(&submission.command.payment()).and_then(|motion| motion.payment.as_ref());
        match payment {
            Some(payment) if payment.origin.merchant != submission.merchant => Some(Lookup::NotFound),
            Some(payment) if payment.is_inquiry() => Some(Lookup::NotFound),
            Some(payment) if payment.operation_by_key(&submission.key).is_some() => Some(Lookup::Repeat),
            Some(_) => None,
            None => Some(Lookup::NotFound),
        }
    }

    fn after_lookup(&mut self, submission: Submission, lookup: Lookup) {
        match lookup {
            Lookup::NotFound => self.refuse(submission.waiter, Refusal::NotFound),
            Lookup::Repeat => self.replay(submission.command.payment(), submission),
        }
    }

    fn plan(&mut self, submission: &Submission) -> Result<Planned, Refusal> {
        match &submission.command {
            Command::Begin(begin) => self.plan_begin(&submission.merchant, begin),
            Command::Capture { payment, amount, is_final } => self.plan_capture(*payment, *amount, *is_final),
            Command::Increment { payment, amount } => self.plan_increment(*payment, *amount),
            Command::Void { payment } => self.plan_void(*payment),
            Command::Refund { payment, amount } => self.plan_refund(*payment, *amount),
        }
    }

    fn plan_begin(&mut self, merchant: &crate::payment::MerchantId, begin: &Begin) -> Result<Planned, Refusal> {
        let (place, message) = self.first_message(merchant, begin)?;
        let summary = CardSummary {
            id: begin.card_id,
            brand: begin.card.pan.brand(),
            first6: begin.card.pan.first6().into(),
            last4: begin.card.pan.last4().into(),
        };
        Ok(Planned {
            kind: begin.kind,
            amount: begin.amount,
            is_final: true,
            allow_partial: begin.allow_partial,
            delivery: Delivery::Request,
            message,
            business_date: self.banks[place].today(self.now.wall),
            obligations: Vec::new(),
            cancelled: Vec::new(),
            origin: Some(Arc::new(Origin {
                merchant: merchant.clone(),
                reference: begin.reference.clone(),
                card: summary,
                acceptor: begin.acceptor.clone(),
                metadata: Some(begin.metadata.clone()).filter(|metadata| !metadata.is_empty()),
            })),
        })
    }

    fn plan_capture(&mut self, id: PaymentId, amount: Option<Amount>, is_final: bool) -> Result<Planned, Refusal> {
        let (payment, place) = self.standing(id)?;
        let plan = payment.plan_capture(amount)?;
        let payment = Arc::clone(payment);
        let original = payment.first();
        let (kind, delivery) = match self.banks[place].settings.forms.capture {
            CaptureForm::Advice => (MessageKind::Capture, Delivery::Advice),
            CaptureForm::Request => (MessageKind::CaptureRequest, Delivery::Request),
        };
        if delivery == Delivery::Request {
            may_ask(&payment)?;
            self.must_have_room(place)?;
        }
        let entry = original.message.entry;
        let mut message = self.new_message(place, kind, plan.amount, entry, Some(&original.message))?;
        message.rrn = original.message.rrn;
        message.approval_code = original.approval_code;
        message.purchase = original.message.purchase.clone();
        let mut planned = Planned {
            is_final,
            business_date: self.banks[place].today(self.now.wall),
            ..Planned::plain(OperationKind::Capture, plan.amount, message)
        };
        if delivery == Delivery::Advice {
            self.tell_by_advice(place, &payment, &mut planned);
            let captured = payment.capture_claims().plus(plan.amount).ok().filter(|_| is_final);
            let number = next_obligation(&payment) + 1;
            planned.obligations.extend(captured.and_then(|sum| self.release(place, &payment, number, sum)));
        }
        Ok(planned)
    }

    /// Named by the bank's reference of the authorisation, and judged like one.
    fn plan_increment(&mut self, id: PaymentId, amount: Amount) -> Result<Planned, Refusal> {
        let (payment, place) = self.standing(id)?;
        let plan = payment.plan_increment(amount)?;
        let (original, approval_code) = (payment.first().message.clone(), payment.first().approval_code);
        self.must_have_room(place)?;
        let kind = MessageKind::Increment;
        let mut message = self.new_message(place, kind, plan.amount, original.entry, Some(&original))?;
        message.rrn = original.rrn;
        message.approval_code = approval_code;
        let business_date = self.banks[place].today(self.now.wall);
        Ok(Planned { business_date, ..Planned::plain(OperationKind::Increment, plan.amount, message) })
    }

    fn plan_refund(&mut self, id: PaymentId, amount: Option<Amount>) -> Result<Planned, Refusal> {
        let (payment, place) = self.standing(id)?;
        let plan = payment.plan_refund(amount)?;
        let payment = Arc::clone(payment);
        let original = &payment.first().message;
        let (kind, delivery) = match self.banks[place].settings.forms.refund {
            RefundForm::Request => (MessageKind::Refund, Delivery::Request),
            RefundForm::Awaited => (MessageKind::RefundAdvice, Delivery::Awaited),
            RefundForm::Advice => (MessageKind::RefundAdvice, Delivery::Advice),
        };
        if delivery != Delivery::Advice {
            may_ask(&payment)?;
        }
        self.must_have_room(place)?;
        let message = self.new_message(place, kind, plan.amount, original.entry, Some(original))?;
        let mut planned = Planned {
            delivery,
            business_date: self.banks[place].today(self.now.wall),
            ..Planned::plain(OperationKind::Refund, plan.amount, message)
        };
        if delivery == Delivery::Advice {
            self.tell_by_advice(place, &payment, &mut planned);
        }
        Ok(planned)
    }

    /// The operation is done once recorded, and its message owed.
    fn tell_by_advice(&mut self, place: usize, payment: &Payment, planned: &mut Planned) {
        // Its trace number is held again with the obligation, once that is durable.
        self.banks[place].numbers.release(planned.message.stan);
        let (number, operation) = (next_obligation(payment), next_operation(payment));
        let message = planned.message.clone();
        planned.delivery = Delivery::Advice;
        planned.obligations = vec![Obligation { number, kind: ObligationKind::Advice, operation, message }];
    }

    /// A payment that is loaded and whose card can still be read, and its bank.
    pub(super) fn standing(&self, id: PaymentId) -> Result<(&Arc<Payment>, usize), Refusal> {
        let motion = self.motions.get(&id).ok_or(Refusal::NotFound)?;
        let payment = motion.payment.as_ref().ok_or(Refusal::NotFound)?;
        motion.card.as_ref().ok_or(Refusal::CardGone)?;
        let place = self.bank_of(payment).ok_or(Refusal::Overloaded)?;
        Ok((payment, place))
    }

    fn record_request(&mut self, submission: Submission, planned: Planned) {
        let id = submission.command.payment();
        let card = match &submission.command {
            Command::Begin(begin) => Some((begin.card_id, begin.card.clone())),
            _ => None,
        };
        let place = self.opened_at(&planned.message.host);
        let motion = self.motions.entry(id).or_default();
        let operation = motion.payment.as_deref().map_or(1, next_operation);
        motion.card = card.as_ref().map(|(_, card)| card.without_cvc()).or(motion.card.take());
        motion.open = Some(Open {
            operation,
            merchant: submission.merchant.clone(),
            key: submission.key.clone(),
            waiter: Some(submission.waiter),
            cvc: card.as_ref().and_then(|(_, card)| card.cvc.clone()),
            cryptogram: card.as_ref().and_then(|(_, card)| card.cryptogram.clone()),
            present: card.as_ref().and_then(|(_, card)| card.present.clone()),
            card_print: card_print_of(&submission.command),
            submission: None,
            decided: false,
            send_by: None,
            give_up_at: None,
            place,
            held: None,
            tried: Vec::new(),
        });
        let is_inquiry = planned.kind.is_inquiry();
        let then = if planned.delivery == Delivery::Advice { Then::Tell } else { Then::Send };
        let bodies = planned.bodies(operation, &submission);
        if let Some(open) = &mut motion.open {
            open.submission = Some(Box::new(submission.without_card()));
        }
        // Nothing follows an inquiry, so its card is not kept.
        let kept = card.filter(|_| !is_inquiry);
        let card = kept.map(|(card_id, card)| (card_id, Box::new(card.without_cvc())));
        self.append_first(id, bodies, then, card);
    }

    /// The values of a new message with numbers of its own.
    pub(super) fn new_message(
        &mut self,
        place: usize,
        kind: MessageKind,
        amount: Amount,
        entry: crate::payment::PosEntry,
        original: Option<&MessageValues>,
    ) -> Result<MessageValues, Refusal> {
        let bank = &mut self.banks[place];
        let (mti, processing_code) = bank.settings.translation.head(kind).ok_or(Refusal::NotSupported)?;
        let rrn = bank.numbers.rrn().map_err(|_| Refusal::Overloaded)?;
        let (stan, transmitted_at) = bank.numbers.stan(self.now.wall).map_err(|_| Refusal::Overloaded)?;
        Ok(MessageValues {
            kind: Some(kind),
            host: bank.settings.name.clone(),
            dialect: bank.settings.translation.name().clone(),
            mti,
            processing_code: processing_code.unwrap_or_default(),
            amount,
            stan,
            transmitted_at,
            rrn,
            entry,
            acquirer: bank.settings.acquirer.clone(),
            approval_code: None,
            original: original.map(MessageValues::as_original),
            reason: None,
            local_time: transmitted_at,
            link: bank.choose_link(None).map(|(link, epoch)| (link.0, epoch)),
            business_date: Some(bank.today(self.now.wall)),
            remains: None,
            consent: None,
            purchase: None,
        })
    }
}

fn card_print_of(command: &Command) -> Option<crate::payment::CardPrint> {
    match command {
        Command::Begin(begin) => Some(begin.card_print),
        _ => None,
    }
}

/// What the bank is asked about a payment cannot overtake the advice by which it learns of it.
fn may_ask(payment: &Payment) -> Result<(), Refusal> {
    match payment.bank_is_to_learn_of_it() {
        true => Err(Refusal::Illegal(Illegal::OutcomeOpen)),
        false => Ok(()),
    }
}

/// What a look at a payment's records can say at once.
enum Lookup {
    NotFound,
    Repeat,
}

impl Planned {
    /// A request without surprises; the day is set by the caller.
    pub(super) fn plain(kind: OperationKind, amount: Amount, message: MessageValues) -> Planned {
        Planned {
            kind,
            amount,
            is_final: true,
            allow_partial: false,
            delivery: Delivery::Request,
            business_date: BusinessDate::of(message.transmitted_at),
            message,
            obligations: Vec::new(),
            cancelled: Vec::new(),
            origin: None,
        }
    }

    fn bodies(self, operation: u16, submission: &Submission) -> Vec<Body> {
        let requested = Requested {
            operation,
            kind: self.kind,
            amount: self.amount,
            key: submission.key.clone(),
            fingerprint: submission.fingerprint,
            allow_partial: self.allow_partial,
            is_final: self.is_final,
            delivery: self.delivery,
            message: self.message,
            business_date: self.business_date,
            obligations: self.obligations,
            origin: self.origin,
            provenance: submission.provenance.clone(),
        };
        let cancelled = self.cancelled.into_iter();
        let ended = cancelled.map(|obligation| Body::Discharged { obligation, discharge: Discharge::Cancelled });
        std::iter::once(Body::Requested(Box::new(requested))).chain(ended).collect()
    }
}

impl Command {
    fn begins(&self) -> bool {
        matches!(self, Command::Begin(_))
    }
}

impl Submission {
    /// What is needed to answer it as a repeat, without the card.
    fn without_card(self) -> Submission {
        let command = Command::Void { payment: self.command.payment() };
        Submission { command, ..self }
    }
}

fn next_operation(payment: &Payment) -> u16 {
    payment.operations.last().map_or(1, |operation| operation.number + 1)
}

pub(super) fn next_obligation(payment: &Payment) -> u16 {
    payment.obligations.last().map_or(1, |owed| owed.obligation.number + 1)
}

/// The card of a request, with its verification code, cryptogram and what a reader gave while these live.
pub(super) fn card_for(card: &Card, open: Option<&Open>) -> Card {
    let short_lived = open.map(|open| (open.cvc.clone(), open.cryptogram.clone(), open.present.clone()));
    let (cvc, cryptogram, present) = short_lived.unwrap_or_default();
    Card { cvc, cryptogram, present, ..card.clone() }
}
