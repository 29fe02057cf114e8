//! Links and their sessions: what they ask for becomes effects, what befalls them settles what was on them.

use super::*;
use crate::iso8583::Message;
use crate::link::{Function, Goal, Step};
use crate::payment::ResultCode;

impl Switch {
    pub(super) fn place_of(&self, link: LinkId) -> Option<usize> {
        self.banks.iter().position(|bank| bank.sessions.contains_key(&link))
    }

    pub(super) fn take_step(&mut self, place: usize, link: LinkId, step: Step) {
        match step {
            Step::Connect => self.effects.push(Effect::Connect { link }),
            Step::Disconnect => self.effects.push(Effect::Disconnect { link }),
            Step::Say(function) => self.say(place, link, function),
            Step::SignedOn => {}
            Step::Online => self.begin_slowly(place, link),
            Step::Echoed => self.echoed(place, link),
        }
        self.observe_link(place, link);
    }

    /// The first link that comes online ends an outage.
    fn begin_slowly(&mut self, place: usize, link: LinkId) {
        let bank = &mut self.banks[place];
        let others = bank.sessions.iter().filter(|(other, _)| **other != link);
        if !others.into_iter().any(|(_, session)| session.is_online()) {
            bank.outbox.begin_slowly();
        }
    }

    fn observe_link(&mut self, place: usize, link: LinkId) {
        if let Some(state) = self.banks[place].sessions.get(&link).map(|session| session.state().name()) {
            self.observe(Observation::Link { link, state });
        }
    }

    /// Writes a network management request. Its number is used once and not held: the session keeps it.
    fn say(&mut self, place: usize, link: LinkId, function: Function) {
        let (now, wall) = (self.now.monotonic, self.now.wall);
        let bank = &mut self.banks[place];
        let drawn = bank.numbers.stan(wall).ok();
        let Some(session) = bank.sessions.get_mut(&link) else { return };
        let Some((stan, time)) = drawn else {
            if let Some(step) = session.unsaid(now) {
                self.take_step(place, link, step);
            }
            return;
        };
        session.said(stan);
        bank.numbers.release(stan);
        let request = bank.network.request(function, stan, time);
        if let Ok(frame) = bank.settings.translation.spec().encode_to_bytes(&request) {
            let send_by = now.after(bank.settings.send_timeout);
            self.send_network(link, frame, send_by);
        }
    }

    pub(super) fn answer_network(&mut self, place: usize, link: LinkId, frame: bytes::Bytes) {
        let send_by = self.now.monotonic.after(self.banks[place].settings.send_timeout);
        self.send_network(link, frame, send_by);
    }

    pub(super) fn send_network(&mut self, link: LinkId, frame: bytes::Bytes, send_by: Monotonic) {
        let bank = self.place_of(link).map(|place| &self.banks[place]);
        let Some((frame, seals)) = bank.and_then(|bank| bank.with_room(frame, None)) else { return };
        self.last_send += 1;
        let id = SendId(self.last_send);
        let frame = Frame::from(frame);
        self.observe(Observation::Sent { payment: None, link, frame: frame.clone() });
        self.effects.push(Effect::Send { link, id, frame, seals, send_by });
    }

    pub(super) fn network_message(&mut self, place: usize, link: LinkId, message: &Message) {
        match message.mti().is_response() {
            true => self.network_reply(place, link, message),
            false => self.network_request(place, link, message),
        }
    }

    fn network_reply(&mut self, place: usize, link: LinkId, message: &Message) {
        let stan = message.text(bank::STAN_ELEMENT).and_then(|text| Stan::parse(&text).ok());
        if self.key_reply(place, link, message, stan) || self.cutover_answered(place, stan, message) {
            return;
        }
        let bank = &mut self.banks[place];
        let (approved, now) = (bank.network.is_approved(message), self.now.monotonic);
        let step = bank.sessions.get_mut(&link).and_then(|session| session.replied(stan, approved, now));
        match step {
            Some(step) => self.take_step(place, link, step),
            None => self.observe_link(place, link),
        }
        if step == Some(Step::SignedOn) {
            self.signed_on(place, message);
        }
    }

    /// A peer's own request is answered in every state.
    fn network_request(&mut self, place: usize, link: LinkId, message: &Message) {
        let now = self.now.monotonic;
        let bank = &mut self.banks[place];
        let function = bank.function_of(message);
        if matches!(function, Function::KeyChange | Function::KeyDemand) && self.key_request(place, link, message) {
            return self.observe_link(place, link);
        }
        let bank = &mut self.banks[place];
        let answer = bank.network.answer(message);
        let frame = answer.and_then(|answer| bank.settings.translation.spec().encode_to_bytes(&answer).ok());
        let step = bank.sessions.get_mut(&link).and_then(|session| session.asked(function, now));
        self.day_message(place, function, message);
        match frame {
            Some(frame) if function == Function::CutoverBegin => self.answer_once_durable(place, link, frame),
            Some(frame) => self.answer_network(place, link, frame),
            None => {}
        }
        match step {
            Some(step) => self.take_step(place, link, step),
            None => self.observe_link(place, link),
        }
    }

    pub(super) fn connected(&mut self, link: LinkId) {
        let Some(place) = self.place_of(link) else { return };
        let now = self.now.monotonic;
        let step = self.banks[place].sessions.get_mut(&link).and_then(|session| session.connected(now));
        if let Some(step) = step {
            self.take_step(place, link, step);
        }
    }

    /// What was handed to the connection may have reached the bank; what was not certainly did not.
    pub(super) fn disconnected(&mut self, link: LinkId, unsent: &[SendId]) {
        let Some(place) = self.place_of(link) else { return };
        let (now, jitter) = (self.now.monotonic, self.jitter());
        if let Some(session) = self.banks[place].sessions.get_mut(&link) {
            session.disconnected(now, jitter);
        }
        if self.banks[place].keying.lose_link(link) {
            self.keys_failed(place, "link_lost");
        }
        self.unsent(link, unsent);
        let lost = self.banks[place].pending.lose_link(link.0);
        lost.into_iter().for_each(|pending| self.unanswered(place, pending, ResultCode::LinkLost));
        self.observe_link(place, link);
    }

    /// A request on this link was not answered in its time: an echo finds out whether the line is dead.
    pub(super) fn doubt_link(&mut self, place: usize, link: (u16, u32), sent_at: Monotonic) {
        let (link, epoch, now) = (LinkId(link.0), link.1, self.now.monotonic);
        let session = self.banks[place].sessions.get_mut(&link).filter(|session| session.epoch() == epoch);
        if let Some(step) = session.and_then(|session| session.doubt(sent_at, now)) {
            self.take_step(place, link, step);
        }
    }

    pub(super) fn wake_sessions(&mut self) {
        let now = self.now.monotonic;
        for place in 0..self.banks.len() {
            let Bank { sessions, pending, .. } = &mut self.banks[place];
            let mut steps = Vec::new();
            for (link, session) in sessions {
                let quiet = session.is_draining() && pending.on_link(link.0) == 0;
                let step = if quiet { session.quiet(now) } else { session.wake(now) };
                steps.extend(step.map(|step| (*link, step)));
            }
            steps.into_iter().for_each(|(link, step)| self.take_step(place, link, step));
        }
    }

    /// Hosts that were spared long enough are asked by an echo whether they speak again.
    pub(super) fn wake_breakers(&mut self) {
        let now = self.now.monotonic;
        for place in 0..self.banks.len() {
            let bank = &mut self.banks[place];
            match bank.is_online() {
                true => bank.breaker.pass(now),
                false => bank.breaker.line_lost(now),
            }
            if !(bank.is_online() && bank.breaker.wants_echo(now)) {
                continue;
            }
            bank.breaker.testing(now.after(bank.settings.session.answer_timeout));
            // Where every line has an echo on its way already, its answer is the one that is waited for.
            let mut sessions = bank.sessions.iter_mut();
            if let Some((link, step)) = sessions.find_map(|(link, session)| Some((*link, session.test(now)?))) {
                self.take_step(place, link, step);
            }
        }
    }

    /// The links of a host make for what operators want of them.
    pub(super) fn make_for_goals(&mut self, place: usize) {
        let goals = self.banks[place].goals();
        goals.into_iter().for_each(|(link, goal)| self.make_link_for(place, link, goal));
    }

    /// All links of a host make for a goal.
    pub(super) fn make_for(&mut self, place: usize, goal: Goal) {
        let links: Vec<LinkId> = self.banks[place].sessions.keys().copied().collect();
        links.into_iter().for_each(|link| self.make_link_for(place, link, goal));
    }

    pub(super) fn make_link_for(&mut self, place: usize, link: LinkId, goal: Goal) {
        let now = self.now.monotonic;
        let step = self.banks[place].sessions.get_mut(&link).and_then(|session| session.make_for(goal, now));
        match step {
            Some(step) => self.take_step(place, link, step),
            None => self.observe_link(place, link),
        }
    }
}
