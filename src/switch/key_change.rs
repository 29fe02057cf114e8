//! How keys are changed with a host: asked for, expected, handed to the key service, answered.
//!
//! What a host sends is passed on enciphered, as it came; the switch learns whether it was taken. No session of a host
//! goes online before everything is there that its dialect exchanges, and one whose keys cannot be had is given up and
//! tried again after a pause. While a session is online, a change that fails leaves the keys as they are.

use super::bank::Bank;
use super::keying::{Owed, Taken};
use super::*;
use crate::iso8583::{Message, MessageBuilder};
use crate::link::{Function, Session, SessionState};
use crate::security::Bringer;
use bytes::Bytes;
use std::time::Duration;

/// Pause before a key change is asked for again for which there was no trace number.
const UNSAID_PAUSE: Duration = Duration::from_millis(50);

impl Bank {
    /// Whether a change of keys can be asked for while a session is online.
    pub(super) fn can_change_keys(&self) -> bool {
        self.keying.settings().is_some_and(|settings| match settings.by {
            Bringer::Answer => self.network.has(Function::KeyChange),
            Bringer::SignOn => true,
            Bringer::Host => self.network.has(Function::KeyDemand),
        })
    }

    fn waits_for_keys(&self) -> Option<LinkId> {
        self.sessions.iter().find(|(_, session)| session.awaits_keys()).map(|(link, _)| *link)
    }

    /// When something is due about keys. A switch that drains asks for no others.
    pub(super) fn next_key_deadline(&self, is_running: bool) -> Option<Monotonic> {
        self.keying.settings()?;
        let may_ask = is_running && self.can_change_keys() && self.is_online();
        self.keying.next_deadline(may_ask, self.waits_for_keys().is_some())
    }
}

impl Switch {
    /// What is due about keys, whatever the event was.
    pub(super) fn tend_keys(&mut self) {
        for place in 0..self.banks.len() {
            if self.banks[place].keying.settings().is_some() {
                self.tend_exchange(place);
            }
            if self.banks[place].keying.is_fresh() {
                self.key_sessions(place, Session::keyed);
            }
        }
    }

    fn tend_exchange(&mut self, place: usize) {
        let now = self.now.monotonic;
        let bank = &mut self.banks[place];
        let is_off = |session: &Session| {
            matches!(session.state(), SessionState::Down | SessionState::Connecting | SessionState::SignedOff)
        };
        if bank.sessions.values().all(is_off) {
            bank.keying.all_down();
        }
        let retired = bank.keying.retired(now);
        self.effects.extend(retired.into_iter().map(Effect::ForgetKey));
        if self.banks[place].keying.expire(now) {
            self.keys_failed(place, "no_answer");
        }
        self.begin_change(place);
        let aside = self.banks[place].keying.no_longer_aside();
        self.effects.extend(aside.into_iter().map(|(link, frame)| Effect::Judge { link, frame }));
    }

    /// All sessions that wait for keys have them, or will not have them.
    fn key_sessions(&mut self, place: usize, how: impl Fn(&mut Session) -> Option<crate::link::Step>) {
        let sessions = self.banks[place].sessions.iter_mut();
        let steps: Vec<_> = sessions.filter_map(|(link, session)| Some((*link, how(session)?))).collect();
        steps.into_iter().for_each(|(link, step)| self.take_step(place, link, step));
    }

    /// Asks for keys where somebody waits for them, or those in use are old or doubted.
    fn begin_change(&mut self, place: usize) {
        let now = self.now.monotonic;
        let bank = &self.banks[place];
        if let Some(link) = bank.waits_for_keys().filter(|_| !bank.keying.is_fresh() && bank.keying.may_ask(now)) {
            return self.ask_for_keys(place, link);
        }
        let online = bank.sessions.iter().find(|(_, session)| session.is_online()).map(|(link, _)| *link);
        let wants = self.phase == Phase::Running && bank.can_change_keys() && bank.keying.wants_change(now);
        if let Some(link) = online.filter(|_| wants) {
            self.ask_for_keys(place, link);
        }
    }

    pub(super) fn ask_for_keys(&mut self, place: usize, link: LinkId) {
        let (now, wall) = (self.now.monotonic, self.now.wall);
        let bank = &mut self.banks[place];
        let deadline = now.after(bank.settings.session.answer_timeout);
        let (Some(session), Some(settings)) = (bank.sessions.get(&link), bank.keying.settings()) else { return };
        let on = (link, session.epoch());
        let function = match settings.by {
            Bringer::Answer => Function::KeyChange,
            Bringer::SignOn => Function::SignOn,
            // After a sign-on they come by themselves.
            Bringer::Host if session.awaits_keys() => return bank.keying.ask(on, None, deadline),
            Bringer::Host => Function::KeyDemand,
        };
        let Ok((stan, time)) = bank.numbers.stan(wall) else {
            return bank.keying.put_off(now.after(UNSAID_PAUSE));
        };
        bank.numbers.release(stan);
        bank.keying.ask(on, Some(stan), deadline);
        let request = bank.network.request(function, stan, time);
        if let Some(frame) = self.encoded(place, Some(request)) {
            self.answer_network(place, link, frame);
        }
    }

    /// A reply to what was asked about keys; `false` where it is one to something else.
    pub(super) fn key_reply(&mut self, place: usize, link: LinkId, message: &Message, stan: Option<Stan>) -> bool {
        let bank = &mut self.banks[place];
        if !bank.keying.is_asked(link, stan) {
            return false;
        }
        let deadline = self.now.monotonic.after(bank.settings.session.answer_timeout);
        let by = bank.keying.settings().map(|settings| settings.by);
        if !bank.network.is_approved(message) {
            self.keys_failed(place, "refused");
        } else if by == Some(Bringer::Host) {
            bank.keying.expect(deadline);
        } else if !self.take_keys(place, message, None) {
            self.keys_failed(place, "no_keys");
        }
        true
    }

    /// The answer to a sign-on, which brings keys at some hosts.
    pub(super) fn signed_on(&mut self, place: usize, message: &Message) {
        let by = self.banks[place].keying.settings().map(|settings| settings.by);
        if by == Some(Bringer::SignOn) && !self.take_keys(place, message, None) && !self.banks[place].keying.is_fresh()
        {
            self.keys_failed(place, "no_keys");
        }
    }

    /// The host's own word of keys: it brings some, or wants us to ask. `false` where it exchanges none.
    pub(super) fn key_request(&mut self, place: usize, link: LinkId, message: &Message) -> bool {
        let bank = &self.banks[place];
        let Some(settings) = bank.keying.settings() else { return false };
        let (brings, refused, by) = (message.has(settings.element), settings.refused.clone(), settings.by);
        let epoch = bank.sessions.get(&link).map_or(0, Session::epoch);
        let (yes, no) = (bank.network.answer(message), bank.network.answer_with(message, &refused));
        let owed = Owed { link: (link, epoch), yes: self.encoded(place, yes), no: self.encoded(place, no) };
        if brings {
            if !self.take_keys(place, message, Some(owed.clone())) {
                self.answer_owed(place, owed, false);
                self.keys_failed(place, "no_keys");
            }
            return true;
        }
        self.answer_owed(place, owed, true);
        let online = self.banks[place].sessions.get(&link).is_some_and(Session::is_online);
        if online && by != Bringer::Host && self.banks[place].keying.is_idle() {
            self.ask_for_keys(place, link);
        }
        true
    }

    fn encoded(&self, place: usize, message: Option<MessageBuilder>) -> Option<Bytes> {
        self.banks[place].settings.translation.spec().encode_to_bytes(&message?).ok()
    }

    fn answer_owed(&mut self, place: usize, owed: Owed, well: bool) {
        let (link, epoch) = owed.link;
        let stands = self.banks[place].sessions.get(&link).is_some_and(|session| session.epoch() == epoch);
        if let Some(frame) = if well { owed.yes } else { owed.no }.filter(|_| stands) {
            self.answer_network(place, link, frame);
        }
    }

    /// Hands what a message offers to the key service; `false` where it offers nothing that can be read, or too much is
    /// there already.
    fn take_keys(&mut self, place: usize, message: &Message, owed: Option<Owed>) -> bool {
        let bank = &mut self.banks[place];
        let deadline = self.now.monotonic.after(bank.settings.session.answer_timeout);
        let Some(settings) = bank.keying.settings() else { return false };
        let Some(offered) = settings.offered(|element| message.text(element)) else { return false };
        let slots = offered.iter().flat_map(|key| key.directions.iter().map(|direction| (key.usage, *direction)));
        let Some(number) = bank.keying.offered(slots.collect(), owed, deadline) else { return false };
        let host = bank.settings.name.clone();
        self.effects.push(Effect::TakeKeys { host, number, offered });
        true
    }

    /// The key service took keys, or did not.
    pub(super) fn keys_taken(&mut self, host: &crate::payment::Name, number: u32, fault: Option<&'static str>) {
        let Some(place) = self.bank_named(host) else { return };
        let well = fault.is_none();
        match self.banks[place].keying.taken(number, well, self.now.monotonic) {
            Taken::Forgotten(slots) => self.effects.extend(slots.into_iter().map(Effect::ForgetKey)),
            Taken::InUse(owed) => {
                self.observe(Observation::KeysChanged { host: host.clone(), number });
                owed.into_iter().for_each(|owed| self.answer_owed(place, owed, true));
                if self.banks[place].keying.is_fresh() {
                    self.keys_are_changed(place, Ok(Told::Done));
                }
            }
            Taken::Refused(owed) => {
                owed.into_iter().for_each(|owed| self.answer_owed(place, owed, false));
                self.keys_failed(place, fault.unwrap_or("refused"));
            }
        }
    }

    /// Keys could not be exchanged. Whoever has none leaves; where there are some, it is tried again after a pause.
    pub(super) fn keys_failed(&mut self, place: usize, fault: &'static str) {
        let bank = &mut self.banks[place];
        let pause = if bank.waits_for_keys().is_some() { Duration::ZERO } else { bank.settings.session.answer_timeout };
        let link = bank.keying.asked_on().or(bank.waits_for_keys()).or(bank.settings.links.first().copied());
        bank.keying.put_off(self.now.monotonic.after(pause));
        if let Some(link) = link {
            self.observe(Observation::KeyAlarm { link, fault });
        }
        self.key_sessions(place, Session::unkeyed);
        self.keys_are_changed(place, Err(OrderRefusal::KeysRefused));
    }
}
