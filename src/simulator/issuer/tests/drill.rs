//! A bank under random messages, with what must hold after each of them.

use super::*;

/// A bank under random, valid and repeated messages, with what must hold after each of them.
struct Drill {
    bank: Bank,
    random: fastrand::Rng,
    sent: Vec<Sent>,
    stan: u32,
}

impl Drill {
    fn new(seed: u64) -> Self {
        Self { bank: Bank::new(), random: fastrand::Rng::with_seed(seed), sent: Vec::new(), stan: 0 }
    }

    fn next_stan(&mut self) -> u32 {
        self.stan += 1;
        self.stan
    }

    fn some_sent(&mut self) -> Option<Sent> {
        let at = (!self.sent.is_empty()).then(|| self.random.usize(..self.sent.len()))?;
        self.sent.get(at).cloned()
    }

    fn next(&mut self) -> Sent {
        let stan = self.next_stan();
        let amount = self.random.i64(1..5_000);
        let first = |mti| Sent::purchase(mti, stan, CARD, amount).with(37, &format!("RRN{stan:09}"));
        match (self.random.u8(..9), self.some_sent()) {
            (0, _) | (_, None) => first("0200"),
            (1, _) => first("0100"),
            (2, _) => first("0200").with(3, "200000"),
            (3, _) => first("0120"),
            (4, Some(sent)) => sent.capture(stan, amount).with(37, sent.text(37)),
            (5, Some(sent)) => sent.reversal(stan).with(37, sent.text(37)),
            (6, Some(sent)) => {
                let rest = format!("{amount:012}{:0>30}", "");
                sent.reversal(stan).with(37, sent.text(37)).with(95, &rest)
            }
            (7, Some(sent)) => sent.reversal(stan).again("0200").with(3, "020000").with(37, sent.text(37)),
            (_, Some(sent)) => sent,
        }
    }

    fn step(&mut self) {
        let message = self.next();
        let repeated = self.sent.iter().any(|sent| sent.text(11) == message.text(11) && sent.mti == message.mti);
        let before = self.bank.issuer.ledger().entries().len();
        self.bank.ask(&message);
        if repeated {
            assert_eq!(self.bank.issuer.ledger().entries().len(), before, "a repeat books nothing");
        }
        self.sent.push(message);
        self.check();
    }

    fn check(&self) {
        let (books, entries) = (self.bank.issuer.books(), self.bank.issuer.ledger().entries());
        let Some((_, _, purse)) = books.purses().next() else { return };
        let sums = entries.iter().fold((0, 0), |(net, held), entry| (net + entry.net, held + entry.held));
        assert_eq!((purse.net, purse.held), sums);
        for effect in self.bank.issuer.ledger().effects().values() {
            assert!(effect.held >= 0, "{effect:?}");
        }
        for entry in entries {
            let handled = books.handled(entry.sequence).unwrap();
            assert!(handled.held >= 0 && handled.captured >= 0 && handled.standing >= 0, "{handled:?}");
        }
    }

    /// Takes everything back: voids first, since a void's reversal restores.
    fn take_all_back(&mut self) {
        let entries = self.bank.issuer.ledger().entries().to_vec();
        let order = |kind| [Kind::Void, Kind::Capture].iter().position(|first| *first == kind).unwrap_or(2);
        let mut originals: Vec<Entry> = entries.into_iter().filter(|entry| entry.kind != Kind::Reversal).collect();
        originals.sort_by_key(|entry| (order(entry.kind), std::cmp::Reverse(entry.sequence)));
        for entry in originals {
            let stan = self.next_stan();
            let sent = self.sent.iter().find(|sent| sent.text(11) == entry.identity.stan).unwrap().clone();
            self.bank.ask(&sent.reversal(stan).with(37, sent.text(37)));
            self.check();
        }
    }
}

#[test]
fn whatever_comes_the_books_add_up_and_everything_can_be_taken_back() {
    for seed in 0..20 {
        let mut drill = Drill::new(seed);
        for _ in 0..120 {
            drill.step();
        }
        let restarted = drill.bank.restarted();
        assert_eq!(format!("{:?}", restarted.issuer.books()), format!("{:?}", drill.bank.issuer.books()));
        drill.take_all_back();
        let (_, _, purse) = drill.bank.issuer.books().purses().next().unwrap();
        assert_eq!((purse.net, purse.held), (0, 0), "seed {seed}");
    }
}
