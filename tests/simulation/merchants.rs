//! The merchants: what they want, how stubbornly they ask for it, and what they were told.
//!
//! An errand is one operation under one idempotency key. Its merchant asks again under the same key until it has an
//! answer that settles it, sometimes once more after that, sometimes with another body.

use crate::plan::{MILLI, Micros, Plan, SECOND};
use crate::world::{Happening, World};
use fastrand::Rng;
use isthmus::payment::{
    Acceptor, Amount, Balance, Card, CardId, CardPrint, Currency, Cvc, Expiry, MerchantId, OperationKind, Pan,
};
use isthmus::payment::{PaymentId, PosEntry};
use isthmus::switch::{Answer, Begin, Command, Event, OnUnknown, Refusal, Submission, WaiterId};
use isthmus::transaction::{Fingerprint, IdempotencyKey, Illegal, OperationState, Payment};
use std::collections::BTreeMap;

/// Cards of the demo scenario, with how often they are taken.
pub const CARDS: &[(&str, u32)] = &[
    ("4111111111111111", 30),
    ("5555555555554444", 10),
    ("378282246310005", 3),
    ("4242424242424242", 3),
    ("4000000000000002", 3),
    ("4000000000000515", 2),
    ("4000000000000051", 1),
    ("4000000000000093", 1),
    ("4000000000000911", 1),
    ("4000000000000945", 1),
    ("4000000000010001", 5),
    ("4000000000010019", 2),
    ("4000000000010100", 3),
    ("4000000000010118", 3),
    ("4000000000010209", 3),
    ("4000000000010217", 3),
    ("4000000000010308", 3),
    ("4000000000010316", 3),
    ("4000000000010407", 3),
    ("4000000000010506", 2),
    ("4000000000010514", 2),
    ("4000000000010522", 2),
    ("4000000000010605", 2),
    ("4000000000010613", 2),
    ("4000000000010704", 2),
    ("4000000000010712", 2),
    ("4000000000010720", 2),
    ("4000000000010738", 2),
    ("4000000000010803", 3),
    ("4000000000010811", 3),
    ("4000000000999997", 3),
    ("4500000000000002", 6),
];

/// What a merchant wants. `of` is the errand that began the payment.
#[derive(Clone, Debug)]
pub enum Wish {
    Begin { kind: OperationKind, amount: u64, allow_partial: bool, card: &'static str },
    Capture { of: usize, amount: Option<u64>, is_final: bool },
    Void { of: usize },
    Refund { of: usize, amount: Option<u64> },
}

/// An answer that settled an errand.
#[derive(Clone, Debug)]
pub struct Told {
    pub payment: PaymentId,
    pub operation: u16,
    pub kind: OperationKind,
    pub state: OperationState,
    pub amount: u64,
    pub approved: u64,
    pub rrn: String,
    /// Of a question for the balance: what is on the account.
    pub balances: Vec<Balance>,
}

impl Told {
    /// What was pending when it was told, and has been answered since.
    pub fn learn(&mut self, payment: &Payment) {
        let Some(now) = payment.operation(self.operation).filter(|_| self.state == OperationState::Pending) else {
            return;
        };
        (self.state, self.approved) = (now.state, now.approved.map_or(0, Amount::minor));
    }
}

#[derive(Clone, Debug)]
pub struct Errand {
    pub merchant: MerchantId,
    pub key: IdempotencyKey,
    pub wish: Wish,
    waiting: Option<WaiterId>,
    /// Asks with another body under the same key.
    spoiled: Option<WaiterId>,
    pub told: Option<Told>,
    pub refused: Option<Refusal>,
    /// The payment it began, found by its key before the answer came.
    found: Option<PaymentId>,
    /// How often it asked.
    asks: u32,
    /// So many more times it asks although it knows.
    again: u32,
}

pub struct Market {
    pub errands: Vec<Errand>,
    by_waiter: BTreeMap<WaiterId, usize>,
    last_waiter: u64,
    last_id: u128,
    /// Errands that are not finished.
    pub open: usize,
    merchants: Vec<MerchantId>,
}

impl Market {
    pub fn new(plan: &Plan) -> Market {
        let merchant = |number: usize| MerchantId::new(&format!("shop-{number}")).expect("an identifier");
        Market {
            errands: Vec::new(),
            by_waiter: BTreeMap::new(),
            last_waiter: 0,
            last_id: 0,
            open: 0,
            merchants: (0..plan.merchants).map(merchant).collect(),
        }
    }
}

pub fn euro(minor: u64) -> Amount {
    Amount::new(minor, Currency::from_code("EUR").expect("a currency")).expect("an amount")
}

pub fn cvc_of(card: &str) -> Cvc {
    Cvc::parse(if card.starts_with("37") { "1234" } else { "123" }).expect("a code")
}

/// Sets the draws of questions apart, so that nothing else of what merchants want depends on them.
const QUESTIONS: u64 = 0x0a5c_ed0f_acad_0000;

impl World {
    pub fn open_market(&mut self) {
        self.open_shops();
        self.open_counters();
    }

    /// Questions about cards, beside the payments.
    fn open_counters(&mut self) {
        let mut random = Rng::with_seed(self.plan.seed ^ QUESTIONS);
        for _ in 0..random.usize(0..=self.plan.payments / 3) {
            let kind = if random.bool() { OperationKind::Verification } else { OperationKind::BalanceInquiry };
            let card = draw_card(random.u32(0..CARDS.iter().map(|(_, weight)| weight).sum()));
            let when = self.plan.busy_moment(&mut random);
            let merchant = self.market.merchants[random.usize(0..self.market.merchants.len())].clone();
            self.errand(merchant, Wish::Begin { kind, amount: 0, allow_partial: false, card }, when);
        }
    }

    fn open_shops(&mut self) {
        for _ in 0..self.plan.payments {
            let random = &mut self.streams.merchants;
            let kind = if random.bool() { OperationKind::Sale } else { OperationKind::Authorisation };
            let card = draw_card(random.u32(0..CARDS.iter().map(|(_, weight)| weight).sum()));
            let amount = match card {
                "4000000000999997" => [1005, 1014, 1051, 1091, 1096, 2000, 3000, 4000][random.usize(0..8)],
                _ => random.u64(1..20_000),
            };
            let allow_partial = random.bool();
            let when = self.plan.busy_moment(random);
            let merchant = random.usize(0..self.market.merchants.len());
            let merchant = self.market.merchants[merchant].clone();
            self.errand(merchant, Wish::Begin { kind, amount, allow_partial, card }, when);
        }
    }

    fn errand(&mut self, merchant: MerchantId, wish: Wish, when: Micros) {
        let number = self.market.errands.len();
        let key = IdempotencyKey::new(&format!("{merchant}-key-{number}")).expect("a key");
        let again = if self.streams.merchants.u32(0..5) == 0 { 1 } else { 0 };
        let (waiting, spoiled, told, refused, found) = (None, None, None, None, None);
        self.market.errands.push(Errand {
            merchant,
            key,
            wish,
            waiting,
            spoiled,
            told,
            refused,
            found,
            asks: 0,
            again,
        });
        self.market.open += 1;
        self.at(when.max(self.now), Happening::Turn { errand: number });
    }

    /// The merchant asks, or asks again.
    pub fn turn(&mut self, number: usize) {
        let errand = &self.market.errands[number];
        let settled = errand.told.is_some() || errand.refused.is_some();
        if settled && errand.again == 0 {
            return;
        }
        if self.switch.is_none() {
            let pause = self.streams.merchants.u64(100 * MILLI..3 * SECOND);
            return self.after(pause, Happening::Turn { errand: number });
        }
        let waiter = self.waiter(number);
        self.market.errands[number].waiting = Some(waiter);
        self.market.errands[number].asks += 1;
        if self.market.errands[number].asks > 1 {
            self.tally.fault("requests sent again under their key");
        }
        let patience = self.streams.merchants.u64(SECOND..40 * SECOND);
        self.after(patience, Happening::Patience { errand: number, waiter });
        let submission = self.submission(number, waiter, false);
        self.tell_after(self.now % 200, Event::Submit(Box::new(submission)));
        if self.streams.merchants.u32(0..8) == 0 {
            self.tally.fault("requests sent twice at once");
            self.ask_beside(number, 20 * MILLI);
        }
        if self.streams.merchants.u32(0..50) == 0 {
            self.tally.fault("storms of retries in parallel");
            (0..self.streams.merchants.u32(5..40)).for_each(|_| self.ask_beside(number, 300 * MILLI));
        }
        if matches!(self.market.errands[number].wish, Wish::Begin { .. }) && self.streams.merchants.u32(0..16) == 0 {
            let soon = self.streams.merchants.u64(0..30 * MILLI);
            self.after(soon, Happening::Peek { errand: number });
        }
    }

    /// The same once more at the same time; whatever the second answer is, the checker knows what it may be.
    fn ask_beside(&mut self, number: usize, within: Micros) {
        let twin = self.waiter(number);
        let submission = self.submission(number, twin, false);
        let after = self.streams.merchants.u64(0..within);
        self.tell_after(after, Event::Submit(Box::new(submission)));
    }

    /// A merchant that does not wait for its answer looks its payment up, and voids it if it is there.
    pub fn peek(&mut self, number: usize) {
        let errand = &self.market.errands[number];
        if errand.told.is_some() || errand.found.is_some() || self.healed {
            return;
        }
        let Some(found) = self.journal.by_key(&errand.merchant, &errand.key) else { return };
        self.tally.fault("operations on a payment without its first answer");
        let merchant = errand.merchant.clone();
        self.market.errands[number].found = Some(found);
        self.errand(merchant, Wish::Void { of: number }, self.now);
    }

    fn waiter(&mut self, errand: usize) -> WaiterId {
        self.market.last_waiter += 1;
        let waiter = WaiterId(self.market.last_waiter);
        self.market.by_waiter.insert(waiter, errand);
        waiter
    }

    fn submission(&mut self, number: usize, waiter: WaiterId, spoiled: bool) -> Submission {
        let errand = self.market.errands[number].clone();
        let more = u64::from(spoiled);
        let begun = |of: usize| &self.market.errands[of];
        let told = |of: usize| begun(of).told.as_ref().map(|told| told.payment);
        let payment_of = |of: usize| told(of).or(begun(of).found).expect("it was told or found");
        let command = match errand.wish {
            Wish::Begin { kind, amount, allow_partial, card } => {
                self.market.last_id += 1;
                let payment = PaymentId(self.market.last_id);
                Command::Begin(Box::new(begin(payment, kind, amount + more, allow_partial, card)))
            }
            Wish::Capture { of, amount, is_final } => {
                Command::Capture { payment: payment_of(of), amount: amount.map(|a| euro(a + more)), is_final }
            }
            Wish::Void { of } => Command::Void { payment: payment_of(of) },
            Wish::Refund { of, amount } => {
                Command::Refund { payment: payment_of(of), amount: amount.map(|a| euro(a + more)) }
            }
        };
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&(number as u64).to_be_bytes());
        fingerprint[8] = more as u8;
        let (merchant, key) = (errand.merchant, errand.key);
        Submission { waiter, merchant, key, fingerprint: Fingerprint(fingerprint), command, provenance: None }
    }

    pub fn patience_ends(&mut self, number: usize, waiter: WaiterId) {
        if self.market.errands[number].waiting == Some(waiter) {
            self.tally.figure("merchants that hung up", 1);
            self.market.errands[number].waiting = None;
            self.turn(number);
        }
    }

    /// The switch is gone: whoever waits sees his connection break.
    pub fn market_loses_connection(&mut self) {
        for number in 0..self.market.errands.len() {
            self.market.errands[number].spoiled = None;
            if self.market.errands[number].waiting.take().is_some() {
                let pause = self.streams.merchants.u64(10 * MILLI..4 * SECOND);
                self.after(pause, Happening::Turn { errand: number });
            }
        }
    }

    /// The switch answers: what it says is checked whether or not it arrives.
    pub fn answer(&mut self, waiter: WaiterId, answer: Answer) {
        self.checker.answered(self.now, waiter, &answer, &self.journal);
        if self.streams.merchants.u32(0..1000) < self.chances.lost_answer {
            self.tally.fault("answers that never reached a merchant");
            return;
        }
        let after = self.streams.merchants.u64(MILLI..50 * MILLI);
        self.after(after, Happening::Answered { waiter, answer: Box::new(answer) });
    }

    pub fn answered(&mut self, waiter: WaiterId, answer: Answer) {
        let Some(number) = self.market.by_waiter.get(&waiter).copied() else { return };
        if self.market.errands[number].spoiled == Some(waiter) {
            return self.spoiled_answered(number, &answer);
        }
        if self.market.errands[number].waiting != Some(waiter) {
            return;
        }
        self.market.errands[number].waiting = None;
        match answer {
            Answer::Told { payment, operation, .. } => self.was_told(number, &payment, operation),
            // Where the bank's file or a person decides, that may take days: nobody here asks so long.
            Answer::Refused(refusal) if is_for_now(refusal) && !self.waits_for_days(number, refusal) => {
                self.tally.figure("refused for now", 1);
                let pause = self.streams.merchants.u64(200 * MILLI..6 * SECOND);
                self.after(pause, Happening::Turn { errand: number });
            }
            Answer::Refused(refusal) => self.was_refused(number, refusal),
        }
    }

    fn waits_for_days(&self, number: usize, refusal: Refusal) -> bool {
        let is_open = refusal == Refusal::Illegal(Illegal::OutcomeOpen);
        is_open && (self.checker.on_unknown == OnUnknown::Nothing || self.is_set_aside(number))
    }

    /// Whether the payment that an errand is about rests although one of its outcomes is open.
    fn is_set_aside(&self, number: usize) -> bool {
        let (Wish::Capture { of, .. } | Wish::Void { of } | Wish::Refund { of, .. }) = self.market.errands[number].wish
        else {
            return false;
        };
        let begun = &self.market.errands[of];
        let payment = begun.told.as_ref().map(|told| told.payment).or(begun.found);
        let folded = payment.and_then(|payment| Payment::fold(self.journal.records(payment)).ok());
        folded.is_some_and(|payment| payment.is_at_rest())
    }

    fn was_told(&mut self, number: usize, payment: &Payment, operation: u16) {
        let Some(told) = told(payment, operation) else {
            return self.checker.violation(self.now, "an answer is about its operation", "no such operation");
        };
        let errand = &self.market.errands[number];
        if let Some(refusal) = errand.refused {
            let what = format!("{} was refused by {refusal:?} and is done after all", errand.key.as_str());
            return self.checker.violation(self.now, "a refusal is final", &what);
        }
        match &errand.told {
            Some(first) => self.same_again(number, &first.clone(), &told),
            None => self.first_told(number, told),
        }
    }

    fn first_told(&mut self, number: usize, told: Told) {
        *self.tally.operations.entry(told.state.name()).or_default() += 1;
        let done = told.state == OperationState::Approved;
        let begins = told.kind.begins_payment();
        let approved = told.approved;
        self.market.errands[number].told = Some(told);
        if done && begins {
            self.story(number, approved);
        }
        if self.is_about_a_question(number) {
            let what = format!("{:?}", self.market.errands[number].wish);
            self.checker.violation(self.now, "nothing follows a question", &what);
        }
        if matches!(self.market.errands[number].wish, Wish::Begin { kind, .. } if kind.is_inquiry()) {
            self.ask_for_more(number);
        }
        self.settled(number);
    }

    /// Some merchants take an answered question for a payment.
    fn ask_for_more(&mut self, of: usize) {
        let (merchant, soon) = (self.market.errands[of].merchant.clone(), self.now + SECOND);
        match self.streams.merchants.u32(0..6) {
            0 => self.errand(merchant, Wish::Capture { of, amount: Some(100), is_final: true }, soon),
            1 => self.errand(merchant, Wish::Void { of }, soon),
            _ => {}
        }
    }

    fn is_about_a_question(&self, number: usize) -> bool {
        let (Wish::Capture { of, .. } | Wish::Void { of } | Wish::Refund { of, .. }) = self.market.errands[number].wish
        else {
            return false;
        };
        matches!(self.market.errands[of].wish, Wish::Begin { kind, .. } if kind.is_inquiry())
    }

    fn same_again(&mut self, number: usize, first: &Told, told: &Told) {
        let facts = |t: &Told| {
            let said = (t.rrn.clone(), t.balances.clone());
            (t.payment, t.operation, t.kind, t.state, t.amount, t.approved, said)
        };
        if facts(first) != facts(told) {
            let what = format!("{}: first {first:?}, then {told:?}", self.market.errands[number].key.as_str());
            self.checker.violation(self.now, "one key, one answer", &what);
        }
        self.tally.figure("answers given again", 1);
        self.market.errands[number].again -= 1;
        self.close_if_done(number);
    }

    fn was_refused(&mut self, number: usize, refusal: Refusal) {
        let finds_nothing = self.is_about_a_question(number);
        let errand = &mut self.market.errands[number];
        let unexpected = match refusal {
            Refusal::NotFound => !finds_nothing,
            refusal => finds_nothing || matches!(refusal, Refusal::KeyReused | Refusal::CardGone),
        };
        let begins = matches!(errand.wish, Wish::Begin { .. });
        if unexpected || begins || errand.told.is_some() {
            let what = format!("{} {:?}: {refusal:?}", errand.key.as_str(), errand.wish);
            self.checker.violation(self.now, "nobody is refused without reason", &what);
        }
        self.tally.figure("errands refused", 1);
        errand.refused = Some(refusal);
        errand.again = 0;
        self.close_if_done(number);
    }

    /// Now it is known; some ask again all the same, some with another body.
    fn settled(&mut self, number: usize) {
        if self.market.errands[number].again > 0 {
            let pause = self.streams.merchants.u64(MILLI..20 * SECOND);
            self.after(pause, Happening::Turn { errand: number });
        }
        if self.streams.merchants.u32(0..6) == 0 && self.switch.is_some() && !self.draining {
            let waiter = self.waiter(number);
            self.market.errands[number].spoiled = Some(waiter);
            self.tally.fault("requests with another body under a used key");
            let submission = self.submission(number, waiter, true);
            self.tell_after(MILLI, Event::Submit(Box::new(submission)));
        }
        self.close_if_done(number);
    }

    fn spoiled_answered(&mut self, number: usize, answer: &Answer) {
        self.market.errands[number].spoiled = None;
        let fine = match answer {
            Answer::Refused(Refusal::KeyReused) => true,
            Answer::Refused(refusal) => is_for_now(*refusal),
            Answer::Told { .. } => false,
        };
        if !fine {
            let what = format!("{}: {answer:?}", self.market.errands[number].key.as_str());
            self.checker.violation(self.now, "a used key with another body is refused", &what);
        }
    }

    fn close_if_done(&mut self, number: usize) {
        let errand = &self.market.errands[number];
        let settled = errand.told.is_some() || errand.refused.is_some();
        if settled && errand.again == 0 {
            self.market.open -= 1;
        }
    }

    /// What a merchant does with an approved payment.
    fn story(&mut self, of: usize, approved: u64) {
        let Wish::Begin { kind, .. } = self.market.errands[of].wish else { return };
        let random = &mut self.streams.merchants;
        let soon = self.now + random.u64(0..3 * SECOND);
        let then = soon + random.u64(0..40 * SECOND);
        let part = random.u64(1..=approved.max(1));
        let most = approved / 5 * 3 + 1;
        let capture = |amount, is_final| Wish::Capture { of, amount, is_final };
        let refund = |amount| Wish::Refund { of, amount };
        let (void, all) = (Wish::Void { of }, None);
        let choice = random.u32(0..10);
        let steps: Vec<(Micros, Wish)> = match (kind, choice) {
            (_, 0) => vec![],
            (_, 1) => vec![(soon, void.clone()), (then, void)],
            (OperationKind::Authorisation, 2) => vec![(soon, capture(all, true))],
            (OperationKind::Authorisation, 3) => vec![(soon, capture(Some(part), false)), (then, capture(all, true))],
            (OperationKind::Authorisation, 4) => vec![(soon, capture(Some(part), true)), (then, refund(all))],
            (OperationKind::Authorisation, 5) => {
                vec![(soon, capture(Some(most), false)), (soon, capture(Some(most), false))]
            }
            (OperationKind::Authorisation, 6) => vec![(soon, capture(Some(part), false)), (then, void)],
            (OperationKind::Authorisation, 7) => vec![(soon, capture(all, true)), (soon, void)],
            (OperationKind::Authorisation, 8) => {
                vec![(soon, capture(Some(part), false)), (soon, capture(all, true)), (then, refund(Some(part)))]
            }
            (OperationKind::Authorisation, _) => vec![(soon, void), (soon, capture(all, true)), (soon, refund(all))],
            (_, 2) => vec![(soon, refund(all))],
            (_, 3) => vec![(soon, refund(Some(part))), (then, refund(all))],
            (_, 4 | 5) => vec![(soon, refund(Some(most))), (soon, refund(Some(most)))],
            (_, 6) => vec![(soon, void), (soon, refund(all))],
            (_, 7) => vec![(soon, refund(Some(part))), (soon, refund(Some(part))), (soon, refund(Some(part)))],
            (_, 8) => vec![(soon, refund(Some(approved + 1))), (then, void)],
            _ => vec![(soon, capture(all, true)), (then, refund(all))],
        };
        let merchant = self.market.errands[of].merchant.clone();
        steps.into_iter().for_each(|(when, wish)| self.errand(merchant.clone(), wish, when));
    }
}

/// What tells cards apart: the same for the same card, and not its digits.
pub fn print_of(card: &str) -> CardPrint {
    let mut print = [0; 32];
    let digits = card.bytes().map(|digit| digit.wrapping_mul(7));
    print.iter_mut().zip(digits).for_each(|(byte, digit)| *byte = digit);
    CardPrint(print)
}

/// A beginning with a card of the demo scenario.
pub fn begin(payment: PaymentId, kind: OperationKind, amount: u64, allow_partial: bool, card: &str) -> Begin {
    let acceptor = Acceptor {
        terminal: "TERM0001".into(),
        identification: "SHOP00000000001".into(),
        category_code: "5411".into(),
        name: "A shop".into(),
        city: "Uppsala".into(),
        country: "SE".into(),
    };
    let pan = Pan::parse(card).expect("a card number");
    let expiry = Expiry::new(2030, 12).expect("an expiry");
    Begin {
        payment,
        kind,
        amount: euro(amount),
        allow_partial,
        reference: format!("order {}", payment.0),
        card: Card { pan, expiry, cvc: Some(cvc_of(card)), cryptogram: None, present: None },
        card_id: CardId(payment.0 << 8 | 0xca),
        card_print: print_of(card),
        acceptor,
        entry: PosEntry::Ecommerce,
        consent: None,
        purchase: None,
        metadata: BTreeMap::new(),
    }
}

fn told(payment: &Payment, operation: u16) -> Option<Told> {
    let told = payment.operation(operation)?;
    Some(Told {
        payment: payment.id,
        operation,
        kind: told.kind,
        state: told.state,
        amount: told.amount.minor(),
        approved: told.approved.map_or(0, Amount::minor),
        rrn: told.message.rrn.to_string(),
        balances: told.balances.clone(),
    })
}

fn draw_card(drawn: u32) -> &'static str {
    let mut left = drawn;
    for (card, weight) in CARDS {
        if left < *weight {
            return card;
        }
        left -= weight;
    }
    CARDS[0].0
}

/// Whether the same request may succeed later.
fn is_for_now(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::KeyInFlight
            | Refusal::PaymentBusy
            | Refusal::Overloaded
            | Refusal::HostBusy
            | Refusal::Draining
            | Refusal::StoreUnavailable
            | Refusal::OutcomeNotRecorded
    ) || refusal == Refusal::Illegal(Illegal::OutcomeOpen)
}
