//! Business days: what ends them, what is to be done before one that ended is closed, and how that becomes durable.
//!
//! A cutover counts from the moment we know of it. It is made durable at once, and a host that announced it is answered
//! only after that: had we forgotten it in a crash, the host would tell us again.

use super::*;
use crate::host::Cutover;
use crate::iso8583::Message;
use crate::link::Function;
use crate::payment::BusinessDate;
use bytes::Bytes;
use std::time::Duration;

/// How often it is looked at whether an earlier day can be closed.
const CLOSE_PAUSE: Duration = Duration::from_secs(1);
/// Answers that may wait for a cutover to be durable; a host repeats what was not answered.
const MOST_ANSWERS: usize = 64;

impl Switch {
    /// How the hosts stood when the last run ended.
    pub(super) fn resume_hosts(&mut self, marks: Vec<HostMark>) {
        for mark in marks {
            let Some(place) = self.bank_named(&mark.host) else { continue };
            self.banks[place].resume(mark);
        }
    }

    /// An answer names the host's day. Gives it back where the host decides it.
    pub(super) fn day_named(&mut self, place: usize, day: BusinessDate) -> Option<BusinessDate> {
        let (counts, cutover) = self.banks[place].days.named(day, self.now.wall);
        self.note_cutover(place, cutover);
        counts
    }

    /// What a network management message says about the day.
    pub(super) fn day_message(&mut self, place: usize, function: Function, message: &Message) {
        let (bank, now) = (&mut self.banks[place], self.now.wall);
        let named = bank.network.business_date(message).and_then(|digits| BusinessDate::from_element(&digits, now));
        match function {
            Function::CutoverBegin => {
                let cutover = bank.days.announced(named, now);
                self.note_cutover(place, cutover);
            }
            Function::CutoverEnd => {
                let host = bank.settings.name.clone();
                self.observe(Observation::DayFinished { host });
            }
            Function::SignOn | Function::SignOff | Function::Echo => {}
            Function::KeyChange | Function::KeyDemand | Function::Other => {}
        }
    }

    /// Answers word of a cutover as soon as that is durable.
    pub(super) fn answer_once_durable(&mut self, place: usize, link: LinkId, frame: Bytes) {
        let bank = &mut self.banks[place];
        if bank.is_durable() {
            return self.answer_network(place, link, frame);
        }
        let epoch = bank.sessions.get(&link).map_or(0, crate::link::Session::epoch);
        if bank.day_answers.len() < MOST_ANSWERS {
            bank.day_answers.push((link, epoch, frame));
        }
    }

    pub(super) fn note_cutover(&mut self, place: usize, cutover: Option<Cutover>) {
        let Some(Cutover { ended: Some(ended), begun }) = cutover else { return };
        self.banks[place].open_owed_days();
        let host = self.banks[place].settings.name.clone();
        self.observe(Observation::Cutover { host, ended, begun });
    }

    /// What is due for the days of each host.
    pub(super) fn pass_days(&mut self) {
        for place in 0..self.banks.len() {
            let cutover = self.banks[place].days.pass(self.now.wall);
            self.note_own_cutover(place, cutover);
            self.close_days(place);
            self.record_host(place);
        }
    }

    /// Closes earlier days of which nothing is in flight or owed any more.
    fn close_days(&mut self, place: usize) {
        let now = self.now.monotonic;
        let Some(day) = self.banks[place].days.oldest_open() else {
            self.banks[place].close_at = None;
            return;
        };
        if self.banks[place].close_at.is_some_and(|at| at > now) {
            return;
        }
        self.banks[place].close_at = Some(now.after(CLOSE_PAUSE));
        if self.banks[place].owes_up_to(day) || self.is_in_motion(place, day) {
            return;
        }
        let bank = &mut self.banks[place];
        bank.days.close(day);
        let host = bank.settings.name.clone();
        self.observe(Observation::DayClosed { host, day });
    }

    /// Whether a payment in motion has an operation of this host and day.
    fn is_in_motion(&self, place: usize, day: BusinessDate) -> bool {
        let host = &self.banks[place].settings.name;
        self.motions.values().any(|motion| motion.days_at(host).any(|of| of == day))
    }

    /// Makes durable how a host stands, if that has changed.
    fn record_host(&mut self, place: usize) {
        let bank = &mut self.banks[place];
        if bank.mark_at.is_some_and(|at| at > self.now.monotonic) {
            return;
        }
        bank.mark_at = None;
        if bank.is_durable() {
            // What was ordered may have been taken back before the store took it.
            return self.host_is_durable(place);
        }
        let Some(mark) = bank.wanted() else { return };
        let ticket = self.next_ticket();
        self.appends.insert(ticket, recording::Appending::Host(place));
        self.effects.push(Effect::Append { ticket, entry: Entry::Host(mark) });
    }

    /// The state of a host is durable, or will be tried again after a pause.
    pub(super) fn host_recorded(&mut self, place: usize, durable: bool) {
        let again_at = self.now.monotonic.after(recording::RESERVE_PAUSE);
        let bank = &mut self.banks[place];
        bank.recorded(durable);
        bank.mark_at = (!durable).then_some(again_at);
        if !bank.is_durable() {
            return;
        }
        self.host_is_durable(place);
        for (link, epoch, frame) in std::mem::take(&mut self.banks[place].day_answers) {
            if self.banks[place].sessions.get(&link).is_some_and(|session| session.epoch() == epoch) {
                self.answer_network(place, link, frame);
            }
        }
    }
}
