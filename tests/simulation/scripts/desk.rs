//! A switch on the desk: its effects are gathered, its commits and its bank's answers given by hand.

use super::*;
use isthmus::security::{Seal, SlotUse};
use isthmus::switch::Observation;

/// A switch on the desk, with a store whose commits are given by hand.
pub(super) struct Desk {
    pub(super) settings: Settings,
    pub(super) switch: Switch,
    pub(super) spec: Arc<Spec>,
    pub(super) journal: Journal,
    pub(super) now: u64,
    pub(super) appends: Vec<(Ticket, Entry)>,
    pub(super) frames: Vec<Bytes>,
    /// The link and the id of each frame.
    pub(super) ways: Vec<(LinkId, SendId)>,
    /// The seals of each frame, and the faults of keys that were observed.
    pub(super) seals: Vec<Vec<Seal>>,
    pub(super) key_faults: Vec<&'static str>,
    pub(super) answers: Vec<(WaiterId, Answer)>,
    pub(super) loads: Vec<PaymentId>,
    pub(super) drained: bool,
    pub(super) said: Vec<Result<Told, OrderRefusal>>,
    /// What a key service or a link was to do.
    pub(super) others: Vec<Effect>,
    /// Cutovers of ours that a bank did not want to know of.
    pub(super) untold: Vec<isthmus::payment::BusinessDate>,
}

impl Desk {
    pub(super) fn settings() -> Settings {
        let mut settings = Plan::with_one_bank().settings;
        settings.credit = 2;
        let host = &mut settings.hosts[0];
        host.links = vec![LinkId(0)];
        host.answer_timeout = Duration::from_secs(5);
        host.send_timeout = Duration::from_secs(2);
        host.retry.pause_min = Duration::from_secs(1);
        host.retry.pause_max = Duration::from_secs(1);
        host.retry.max_attempts = 100;
        host.on_unknown = OnUnknown::Reverse;
        host.repeat = Repeat::Flagged;
        host.reversal_stan = ReversalStan::Same;
        host.day = DaySettings::default();
        host.forms = Forms::default();
        host.stand_in = None;
        settings
    }

    /// Nothing was started yet.
    pub(super) fn offline(settings: Settings) -> Desk {
        Desk {
            spec: Arc::clone(settings.hosts[0].translation.spec()),
            switch: Switch::new(settings.clone(), 1),
            settings,
            journal: Journal::default(),
            now: 1_000_000,
            appends: Vec::new(),
            frames: Vec::new(),
            ways: Vec::new(),
            seals: Vec::new(),
            key_faults: Vec::new(),
            answers: Vec::new(),
            loads: Vec::new(),
            drained: false,
            said: Vec::new(),
            others: Vec::new(),
            untold: Vec::new(),
        }
    }

    /// One link, online; nothing has happened.
    pub(super) fn online() -> Desk {
        Desk::with(Desk::settings())
    }

    pub(super) fn with(settings: Settings) -> Desk {
        let mut desk = Desk::offline(settings);
        desk.handle(Event::Start);
        desk.commit();
        desk.handle(Event::Connected { link: LinkId(0) });
        desk.reply("00");
        desk
    }

    /// The switch is killed; what it made durable is there.
    pub(super) fn killed(self) -> Desk {
        Desk { journal: self.journal, now: self.now, ..Desk::offline(self.settings) }
    }

    /// A switch goes on with what is durable. What it records for that waits.
    pub(super) fn starts(&mut self) {
        self.handle(Event::Numbers(self.journal.numbers()));
        self.handle(Event::Resume(self.journal.in_motion()));
        self.handle(Event::Start);
    }

    pub(super) fn connects(&mut self) {
        self.handle(Event::Connected { link: LinkId(0) });
        self.reply("00");
    }

    /// The switch is killed and started again, and online.
    pub(super) fn restarted(self) -> Desk {
        let mut after = self.killed();
        after.starts();
        after.commit();
        after.connects();
        after
    }

    pub(super) fn handle(&mut self, event: Event) {
        let now = Now { monotonic: Monotonic(self.now), wall: Wall(NOON + self.now as i64) };
        for effect in self.switch.handle(now, event) {
            match effect {
                Effect::Append { ticket, entry } => self.appends.push((ticket, entry)),
                Effect::Send { link, id, frame, seals, .. } => {
                    self.ways.push((link, id));
                    self.frames.push(frame.into_bytes());
                    assert!(
                        seals.iter().all(|seal| matches!(seal, Seal::Mac(_)) == (seal.slot().usage == SlotUse::Mac))
                    );
                    self.seals.push(seals);
                }
                Effect::Observe(Observation::KeyAlarm { fault, .. }) => self.key_faults.push(fault),
                Effect::Observe(Observation::CutoverUntold { begun, .. }) => self.untold.push(begun),
                Effect::Answer { waiter, answer } => self.answers.push((waiter, answer)),
                Effect::Load { payment } => self.loads.push(payment),
                Effect::Told { said, .. } => self.said.push(said),
                Effect::Drained => self.drained = true,
                Effect::Observe(_) => {}
                other => self.others.push(other),
            }
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += seconds * 1_000_000;
        self.handle(Event::Wake);
        assert!(self.switch.next_deadline().is_none_or(|due| due.0 > self.now), "it would be woken again at once");
    }

    /// Makes the appends durable that are on their way now, without a word to the switch.
    pub(super) fn store(&mut self) -> Vec<(Ticket, Result<(), NotRecorded>)> {
        for (ticket, entry) in std::mem::take(&mut self.appends) {
            self.journal.append(ticket, entry);
        }
        self.journal.begin();
        self.journal.commit(true).into_iter().map(|(ticket, result)| (ticket, result.map(drop))).collect()
    }

    /// Makes everything durable until nothing more is to be recorded.
    pub(super) fn commit(&mut self) {
        while !self.appends.is_empty() {
            for (ticket, result) in self.store() {
                self.handle(Event::Recorded { ticket, result });
            }
        }
    }

    pub(super) fn load(&mut self) {
        for payment in std::mem::take(&mut self.loads) {
            let found = Ok(self.journal.load(payment).map(Box::new));
            self.handle(Event::Loaded { payment, found });
        }
    }

    /// The link and the id of the last frame.
    pub(super) fn last_way(&self) -> (LinkId, SendId) {
        *self.ways.last().unwrap()
    }

    pub(super) fn last(&self) -> Message {
        self.spec.decode(self.frames.last().unwrap().clone()).unwrap()
    }

    /// Answers the last frame.
    pub(super) fn reply(&mut self, code: &str) {
        let ((link, _), frame) = (self.last_way(), self.frames.last().unwrap().clone());
        self.reply_by(link, &frame, code);
    }

    pub(super) fn reply_to(&mut self, frame: &Bytes, code: &str) {
        self.reply_by(LinkId(0), frame, code);
    }

    /// Answers a frame on a link.
    pub(super) fn reply_by(&mut self, link: LinkId, frame: &Bytes, code: &str) {
        self.reply_as(link, frame, code, MacVerdict::NotAsked);
    }

    /// The same, of which its MAC says this.
    pub(super) fn reply_as(&mut self, link: LinkId, frame: &Bytes, code: &str, mac: MacVerdict) {
        let asked = self.spec.decode(frame.clone()).unwrap();
        let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
        for element in [3, 4, 7, 11, 32, 37, 41, 42, 49, 70] {
            if let Some(text) = asked.text(element) {
                reply.set(element, &text);
            }
        }
        reply.set(39, code);
        let frame = self.spec.encode_to_bytes(&reply).unwrap();
        self.handle(Event::Arrived { link, frame: frame.into(), mac });
    }

    pub(super) fn submit(&mut self, waiter: u64, key: &str, command: Command) {
        let merchant = MerchantId::new("shop").unwrap();
        let (key, fingerprint) = (IdempotencyKey::new(key).unwrap(), Fingerprint([0; 32]));
        let submission = Submission { waiter: WaiterId(waiter), merchant, key, fingerprint, command, provenance: None };
        self.handle(Event::Submit(Box::new(submission)));
    }

    pub(super) fn sale(&mut self, waiter: u64, payment: u128) {
        let begin = begin(PaymentId(payment), OperationKind::Sale, 1000, false, CARD);
        self.submit(waiter, &format!("sale-{payment}"), Command::Begin(Box::new(begin)));
    }

    /// What was told last.
    pub(super) fn told(&self) -> &Payment {
        match &self.answers.last().unwrap().1 {
            Answer::Told { payment, .. } => payment,
            Answer::Refused(refusal) => panic!("refused: {refusal}"),
        }
    }

    pub(super) fn mti(&self) -> String {
        self.last().mti().to_string()
    }

    pub(super) fn folded(&self, payment: u128) -> Payment {
        Payment::fold(self.journal.records(PaymentId(payment))).unwrap()
    }
}
