//! Word of our own cutovers to a host that wants it: told until the host has said that it knows, across restarts.
//!
//! Only where we keep the day (`business_day = "ours"`) and the dialect or the host's entry names a message type for
//! it. What the day is does not wait for the answer: the cutover counts once it is durable, and is told after that.

use super::*;
use crate::host::{Cutover, DayKeeper};
use crate::iso8583::Message;
use crate::link::Function;
use crate::payment::Stan;

/// How often a host is told in a run before a person must tell it in another way.
const MOST_TELLINGS: u32 = 10;

/// How far a host was told of a cutover.
#[derive(Debug, Default)]
pub(super) struct Telling {
    tellings: u32,
    /// The number of the last one.
    stan: Option<Stan>,
    /// When it is told again.
    again_at: Option<Monotonic>,
}

impl Switch {
    /// A day ended by our clock or by an operator.
    pub(super) fn note_own_cutover(&mut self, place: usize, cutover: Option<Cutover>) {
        if let Some(Cutover { ended: Some(_), begun }) = cutover {
            let bank = &mut self.banks[place];
            if bank.settings.day.keeper == DayKeeper::Ours && bank.network.tells_cutover() {
                (bank.untold, bank.telling) = (Some(begun), Telling::default());
            }
        }
        self.note_cutover(place, cutover);
    }

    /// Tells hosts what they do not know yet.
    pub(super) fn tell_days(&mut self) {
        (0..self.banks.len()).for_each(|place| self.tell_day(place));
    }

    fn tell_day(&mut self, place: usize) {
        let now = self.now.monotonic;
        let bank = &mut self.banks[place];
        let Some(begun) = bank.untold.filter(|_| bank.is_durable()) else { return };
        if bank.telling.again_at.is_some_and(|at| at > now) {
            return;
        }
        let Some((link, _)) = bank.choose_link(None) else { return };
        if bank.telling.tellings >= MOST_TELLINGS {
            return self.give_up_telling(place);
        }
        let drawn = bank.numbers.stan(self.now.wall).ok();
        let again_at = Some(now.after(bank.settings.session.answer_timeout));
        bank.telling = Telling { tellings: bank.telling.tellings + 1, stan: drawn.map(|(stan, _)| stan), again_at };
        let Some((stan, time)) = drawn else { return };
        bank.numbers.release(stan);
        let told = bank.network.cutover(begun, stan, time);
        let send_by = now.after(bank.settings.send_timeout);
        if let Some(frame) = told.and_then(|told| bank.settings.translation.spec().encode_to_bytes(&told).ok()) {
            self.send_network(link, frame, send_by);
        }
    }

    /// Whether a reply is the host's word about a cutover of ours.
    pub(super) fn cutover_answered(&mut self, place: usize, stan: Option<Stan>, message: &Message) -> bool {
        let bank = &mut self.banks[place];
        let about_day = bank.function_of(message) == Function::CutoverBegin;
        if !about_day || stan.is_none() || bank.telling.stan != stan {
            return false;
        }
        match bank.network.is_approved(message) {
            true => (bank.untold, bank.telling) = (None, Telling::default()),
            false => self.give_up_telling(place),
        }
        true
    }

    fn give_up_telling(&mut self, place: usize) {
        let bank = &mut self.banks[place];
        bank.telling = Telling::default();
        if let Some(begun) = bank.untold.take() {
            let host = bank.settings.name.clone();
            self.observe(Observation::CutoverUntold { host, begun });
        }
    }
}

impl Bank {
    /// When the host is told again of a cutover. While its state is on its way to the store nothing is told.
    pub(super) fn told_again_at(&self) -> Option<Monotonic> {
        self.untold.filter(|_| self.is_durable()).and(self.telling.again_at)
    }
}
