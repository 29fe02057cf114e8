//! How answers leave: at once, late, twice, out of order, spoiled, in pieces, or not at all.
//!
//! Nothing of it changes what was booked. Two kinds of answers wait here: a late one for a reversal of
//! what it answers, and a held-back one for the next answer on its link. Both wait in memory alone, and
//! are lost when the link or the bank is, like anything a host had in its buffers.

use std::time::Duration;

use bytes::Bytes;

use super::super::entry::{Kind, Sequence};
use super::super::scenario::{Behaviour, Reply};
use super::{Action, Issuer, Link, Manner, Planned, Session};

/// The most answers that wait for a reversal; the oldest is dropped beyond that.
const MOST_LATE: usize = 10_000;

/// The most answers that wait for another on one link; more are lost.
const MOST_HELD_BACK: usize = 1_000;

/// A scrambled answer keeps so many bytes at its beginning...
const SPARED_BYTES: usize = 4;

/// ...and so many bytes of the rest are changed.
const CHANGED_BYTES: usize = 8;

/// An answer that waits for a reversal of what it answers.
#[derive(Clone, Debug)]
pub(super) struct Late {
    link: Link,
    answer: Bytes,
    /// Goes out before the reversal's own answer.
    first: bool,
}

/// An answer that waits for the next one on its link.
#[derive(Clone, Debug)]
pub(super) struct HeldBack {
    answer: Bytes,
    /// Goes out before that one.
    first: bool,
}

impl Issuer {
    /// The message might as well not have come.
    pub(super) fn pass_over(&mut self, link: Link, behaviour: &Behaviour) -> Vec<Planned> {
        self.counters.withheld += 1;
        match behaviour.reply {
            Reply::DropUnseen => {
                let after = behaviour.delay.draw(&mut self.random);
                vec![Planned { after, ..Planned::now(link, Action::Close) }]
            }
            _ => Vec::new(),
        }
    }

    /// What becomes of an answer.
    pub(super) fn plan(
        &mut self,
        link: Link,
        kind: Option<Kind>,
        behaviour: &Behaviour,
        answer: Option<Bytes>,
        concerns: Option<Sequence>,
    ) -> Vec<Planned> {
        let Some(answer) = answer else {
            self.counters.unwritable += 1;
            return Vec::new();
        };
        let after = behaviour.delay.draw(&mut self.random);
        let mut planned = self.deliver(link, behaviour, answer, concerns, after);
        if kind == Some(Kind::Reversal) {
            self.release_late(&mut planned, concerns, after);
        }
        if behaviour.read_pause > Duration::ZERO {
            planned.push(Planned::now(link, Action::PauseReading(behaviour.read_pause)));
        }
        planned
    }

    fn deliver(
        &mut self,
        link: Link,
        behaviour: &Behaviour,
        answer: Bytes,
        concerns: Option<Sequence>,
        after: Duration,
    ) -> Vec<Planned> {
        let manner = Manner { pieces: behaviour.pieces, pause: behaviour.piece_pause };
        let at = |action| Planned { link, after, action, manner };
        if behaviour.reply == Reply::Sent {
            self.counters.answers += 1;
            let planned = vec![at(Action::Send(answer)); usize::from(behaviour.copies)];
            return self.let_go(link, planned, after);
        }
        self.counters.withheld += 1;
        match behaviour.reply {
            Reply::Late | Reply::LateFirst => {
                let first = behaviour.reply == Reply::LateFirst;
                self.keep_late(Late { link, answer, first }, concerns);
                Vec::new()
            }
            Reply::Overtaken | Reply::Merged => {
                self.hold_back(link, HeldBack { answer, first: behaviour.reply == Reply::Merged });
                Vec::new()
            }
            Reply::Scrambled => vec![at(Action::Send(self.scrambled(&answer)))],
            Reply::Garbage => vec![at(Action::Send(self.garbage()))],
            Reply::Truncated => vec![at(Action::Send(answer.slice(..answer.len() / 2)))],
            Reply::Unframed => vec![at(Action::SendUnframed(self.garbage())), at(Action::Close)],
            Reply::Drop | Reply::DropUnseen => vec![at(Action::Close)],
            Reply::Reset => vec![at(Action::Reset)],
            Reply::Stall => {
                self.links.insert(link, Session::Stalled);
                Vec::new()
            }
            Reply::Sent | Reply::Silence | Reply::Unseen => Vec::new(),
        }
    }

    fn garbage(&mut self) -> Bytes {
        let length = self.random.usize(1..64);
        (0..length).map(|_| self.random.u8(..)).collect()
    }

    /// The answer with some of its bytes changed, behind the type, so that it still is seen as an answer.
    fn scrambled(&mut self, answer: &Bytes) -> Bytes {
        let mut bytes = answer.to_vec();
        let from = SPARED_BYTES.min(bytes.len());
        for _ in 0..CHANGED_BYTES.min(bytes.len() - from) {
            let at = self.random.usize(from..bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= self.random.u8(1..);
            }
        }
        bytes.into()
    }

    fn hold_back(&mut self, link: Link, answer: HeldBack) {
        let waiting = self.held_back.entry(link).or_default();
        if waiting.len() < MOST_HELD_BACK {
            waiting.push(answer);
        }
    }

    /// Answers that waited for another on their link leave with it, before or after.
    fn let_go(&mut self, link: Link, planned: Vec<Planned>, after: Duration) -> Vec<Planned> {
        let Some(waiting) = self.held_back.remove(&link) else { return planned };
        let (before, behind): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|held| held.first);
        let leaving = |held: HeldBack| Planned { after, ..Planned::now(link, Action::Send(held.answer)) };
        let before = before.into_iter().map(leaving);
        before.chain(planned).chain(behind.into_iter().map(leaving)).collect()
    }

    fn keep_late(&mut self, late: Late, concerns: Option<Sequence>) {
        if let Some(sequence) = concerns {
            self.late.insert(sequence, late);
        }
        if self.late.len() > MOST_LATE {
            self.late.pop_first();
        }
    }

    /// A reversal has arrived: the answer that waited for it goes out, before or after its own.
    fn release_late(&mut self, planned: &mut Vec<Planned>, original: Option<Sequence>, after: Duration) {
        let Some(late) = original.and_then(|original| self.late.remove(&original)) else { return };
        let at = if late.first { 0 } else { planned.len() };
        planned.insert(at, Planned { after, ..Planned::now(late.link, Action::Send(late.answer)) });
    }
}
