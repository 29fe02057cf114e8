//! The session of one link.
//!
//! ```text
//!   down ──retry_at──▶ connecting ──connected──▶ signing on ──yes──▶ keys ──keyed──▶ online ──leave──▶ draining
//!    ▲                     │                        │ no, timeout     │ unkeyed        │ missed echoes,     │ quiet
//!    └─────────────────────┴────────────────────────┴─────────────────┴── line lost ◀──┘ line lost          ▼
//!                                                                     └─ signed off, closed ◀───────── signing off
//! ```
//!
//! Every connection has an epoch of its own: what was sent in one epoch is not answered in another. A session that is
//! to leave takes no new traffic, waits for the answers that it is owed ([`Session::quiet`]) and then signs off. A session
//! that is signed on waits for keys; where a host exchanges none, it is told at once that it has them. How keys are
//! exchanged is the host's matter and not one link's. The surprise: a peer's sign-off leaves the connection standing; we
//! sign on again after a pause.

use super::network::Function;
use super::settings::SessionSettings;
use crate::payment::{Monotonic, Stan};
use std::sync::Arc;
use std::time::Duration;

/// Pause before a sign-on is tried again for which there was no trace number: a store reserves them within that.
const UNSAID_PAUSE: Duration = Duration::from_millis(50);

/// A session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<SessionSettings>,
    state: State,
    epoch: u32,
    failures: u32,
    last_heard: Monotonic,
    missed: u32,
    goal: Goal,
}

/// Where a session is to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Online, again and again.
    Online,
    /// Connected and signed off, until somebody says otherwise.
    SignedOff,
    /// Without a connection, until somebody says otherwise.
    Closed,
    /// Over for good.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Down {
        retry_at: Monotonic,
    },
    Connecting,
    SigningOn {
        awaited: Awaited,
    },
    /// Connected; signs on at that time, or when it is told to.
    SignedOff {
        retry_at: Option<Monotonic>,
    },
    /// Signed on, without the keys that traffic needs.
    Keys,
    Online {
        echo: Option<Awaited>,
    },
    /// No new traffic; the answers to what was sent are waited for.
    Draining,
    SigningOff {
        awaited: Awaited,
    },
    Closing,
    Stopped,
}

/// A network management message that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Awaited {
    /// Known once the message was written.
    stan: Option<Stan>,
    deadline: Monotonic,
}

/// What is to be done for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connect.
    Connect,
    /// End the connection.
    Disconnect,
    /// Send a network management request and report its trace number by [`Session::said`].
    Say(Function),
    /// The peer knows us: the session waits for [`Session::keyed`].
    SignedOn,
    /// The session may carry traffic from now on.
    Online,
    /// An echo came back.
    Echoed,
}

/// The state as operators and metrics see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum SessionState {
    Down,
    Connecting,
    SigningOn,
    Keys,
    SignedOff,
    Online,
    Draining,
}

impl SessionState {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            SessionState::Down => "down",
            SessionState::Connecting => "connecting",
            SessionState::SigningOn => "signing_on",
            SessionState::Keys => "keys",
            SessionState::SignedOff => "signed_off",
            SessionState::Online => "online",
            SessionState::Draining => "draining",
        }
    }
}

impl Session {
    /// A session that was not started.
    pub fn new(settings: Arc<SessionSettings>) -> Session {
        let last_heard = Monotonic::default();
        Session { settings, state: State::Idle, epoch: 0, failures: 0, last_heard, missed: 0, goal: Goal::Online }
    }

    /// Begins to connect, unless it is to stay closed.
    pub fn start(&mut self) -> Option<Step> {
        let may = matches!(self.goal, Goal::Online | Goal::SignedOff);
        (self.state == State::Idle && may).then(|| self.connect())
    }

    fn connect(&mut self) -> Step {
        self.state = State::Connecting;
        Step::Connect
    }

    /// The connection stands: a new epoch begins.
    pub fn connected(&mut self, now: Monotonic) -> Option<Step> {
        self.epoch = self.epoch.wrapping_add(1);
        self.last_heard = now;
        self.missed = 0;
        match self.goal {
            Goal::Online => self.sign_on(now),
            Goal::SignedOff => {
                self.state = State::SignedOff { retry_at: None };
                None
            }
            Goal::Closed | Goal::Stopped => self.give_up(),
        }
    }

    fn sign_on(&mut self, now: Monotonic) -> Option<Step> {
        self.state = State::SigningOn { awaited: self.await_from(now) };
        Some(Step::Say(Function::SignOn))
    }

    /// The connection is gone, or could not be made. `jitter` is 0 to 999, drawn anew each time.
    pub fn disconnected(&mut self, now: Monotonic, jitter: u32) {
        self.state = match self.goal {
            Goal::Online | Goal::SignedOff => State::Down { retry_at: now.after(self.pause(jitter)) },
            Goal::Closed => State::Idle,
            Goal::Stopped => State::Stopped,
        };
        self.failures = self.failures.saturating_add(1);
    }

    /// Doubles with each failure up to the longest pause; half of it is drawn by lot, so that links do not march in step.
    fn pause(&self, jitter: u32) -> Duration {
        let doubled = self.settings.reconnect_min.saturating_mul(1 << self.failures.min(16));
        let full = doubled.min(self.settings.reconnect_max);
        full / 2 + full / 2 * jitter.min(999) / 1000
    }

    /// Any frame came: the peer lives.
    pub fn heard(&mut self, now: Monotonic) {
        self.last_heard = now;
        self.missed = 0;
    }

    /// A network management request was written with this trace number.
    pub fn said(&mut self, stan: Stan) {
        match &mut self.state {
            State::SigningOn { awaited } | State::SigningOff { awaited } | State::Online { echo: Some(awaited) } => {
                awaited.stan = Some(stan);
            }
            _ => {}
        }
    }

    /// A network management request could not be written (no trace number was to be had): try again later. A sign-on
    /// keeps its connection. An echo is put off by a whole idle time, since its own is over and would be due again at
    /// once.
    pub fn unsaid(&mut self, now: Monotonic) -> Option<Step> {
        match self.state {
            State::SigningOn { .. } => {
                self.state = State::SignedOff { retry_at: Some(now.after(UNSAID_PAUSE)) };
                None
            }
            State::Online { .. } => {
                self.last_heard = now;
                self.state = State::Online { echo: None };
                None
            }
            _ => self.give_up(),
        }
    }

    /// A reply to a network management request came.
    pub fn replied(&mut self, stan: Option<Stan>, approved: bool, now: Monotonic) -> Option<Step> {
        let is_for = |awaited: &Awaited| awaited.stan.is_some() && awaited.stan == stan;
        match self.state {
            State::SigningOn { awaited } if is_for(&awaited) && approved => {
                self.state = State::Keys;
                Some(Step::SignedOn)
            }
            State::SigningOn { awaited } if is_for(&awaited) => self.give_up(),
            State::Online { echo: Some(awaited) } if is_for(&awaited) => {
                self.state = State::Online { echo: None };
                Some(Step::Echoed)
            }
            State::SigningOff { awaited } if is_for(&awaited) => self.signed_off(now),
            _ => None,
        }
    }

    /// The keys that traffic needs are there.
    pub fn keyed(&mut self) -> Option<Step> {
        (self.state == State::Keys).then(|| {
            self.failures = 0;
            self.state = State::Online { echo: None };
            Step::Online
        })
    }

    /// They are not to be had: the peer is tried again on another connection, after a pause.
    pub fn unkeyed(&mut self) -> Option<Step> {
        (self.state == State::Keys).then(|| self.give_up()).flatten()
    }

    /// The peer knows that we are signed off, or does not say so.
    fn signed_off(&mut self, now: Monotonic) -> Option<Step> {
        match self.goal {
            Goal::Online => self.sign_on(now),
            Goal::SignedOff => {
                self.state = State::SignedOff { retry_at: None };
                None
            }
            Goal::Closed | Goal::Stopped => self.give_up(),
        }
    }

    /// The peer asked for something by itself; it is answered in every state, this is what follows from it.
    pub fn asked(&mut self, function: Function, now: Monotonic) -> Option<Step> {
        if function == Function::SignOff && matches!(self.state, State::Online { .. } | State::Keys) {
            self.state = State::SignedOff { retry_at: Some(now.after(self.settings.reconnect_min)) };
        }
        None
    }

    /// A request that was sent at that time was not answered in its time: if nothing was heard since, the line may be
    /// dead though it stands, and an echo finds that out.
    pub fn doubt(&mut self, sent_at: Monotonic, now: Monotonic) -> Option<Step> {
        match self.state {
            State::Online { echo: None } if self.last_heard <= sent_at => self.echo(now),
            _ => None,
        }
    }

    /// An echo that somebody asks for; none where the session is not online, or one is under way.
    pub fn test(&mut self, now: Monotonic) -> Option<Step> {
        matches!(self.state, State::Online { echo: None }).then(|| self.echo(now)).flatten()
    }

    /// A deadline has come.
    pub fn wake(&mut self, now: Monotonic) -> Option<Step> {
        match self.state {
            State::Down { retry_at } if retry_at <= now => Some(self.connect()),
            State::SignedOff { retry_at: Some(retry_at) } if retry_at <= now => self.sign_on(now),
            State::SigningOn { awaited } if awaited.deadline <= now => self.give_up(),
            State::SigningOff { awaited } if awaited.deadline <= now => self.signed_off(now),
            State::Online { echo: Some(awaited) } if awaited.deadline <= now => self.miss_echo(now),
            State::Online { echo: None } if self.last_heard.after(self.settings.echo_idle) <= now => self.echo(now),
            _ => None,
        }
    }

    fn echo(&mut self, now: Monotonic) -> Option<Step> {
        self.state = State::Online { echo: Some(self.await_from(now)) };
        Some(Step::Say(Function::Echo))
    }

    fn miss_echo(&mut self, now: Monotonic) -> Option<Step> {
        // Anything heard since the echo was sent resets the count: the peer lives, even if it does not do echoes.
        self.missed += 1;
        match self.missed < self.settings.missed_echoes {
            true => self.echo(now),
            false => self.give_up(),
        }
    }

    fn give_up(&mut self) -> Option<Step> {
        self.state = State::Closing;
        Some(Step::Disconnect)
    }

    /// Makes for another goal. What is stopped stays so.
    pub fn make_for(&mut self, goal: Goal, now: Monotonic) -> Option<Step> {
        if self.goal == Goal::Stopped {
            return None;
        }
        self.goal = goal;
        match goal {
            Goal::Online => self.come(now),
            Goal::SignedOff | Goal::Closed | Goal::Stopped => self.leave(now),
        }
    }

    fn come(&mut self, now: Monotonic) -> Option<Step> {
        match self.state {
            State::Idle | State::Down { .. } => Some(self.connect()),
            State::SignedOff { .. } => self.sign_on(now),
            State::Draining => {
                self.state = State::Online { echo: None };
                Some(Step::Online)
            }
            _ => None,
        }
    }

    fn leave(&mut self, now: Monotonic) -> Option<Step> {
        match (self.state, self.goal) {
            (State::Online { .. }, _) => {
                self.state = State::Draining;
                None
            }
            // Nothing was sent yet that could be answered.
            (State::Keys, _) => self.sign_off(now),
            (State::Idle, Goal::SignedOff) => Some(self.connect()),
            (State::SigningOn { .. }, Goal::SignedOff) => {
                self.state = State::SignedOff { retry_at: None };
                None
            }
            (State::SigningOn { .. } | State::SignedOff { .. }, Goal::Closed | Goal::Stopped) => self.give_up(),
            (State::SignedOff { .. }, _) => {
                self.state = State::SignedOff { retry_at: None };
                None
            }
            (State::Idle | State::Down { .. }, Goal::Stopped) => {
                self.state = State::Stopped;
                None
            }
            (State::Down { .. }, Goal::Closed) => {
                self.state = State::Idle;
                None
            }
            _ => None,
        }
    }

    /// No answer is waited for on this link any more: a session that drains signs off.
    pub fn quiet(&mut self, now: Monotonic) -> Option<Step> {
        (self.state == State::Draining).then(|| self.sign_off(now)).flatten()
    }

    fn sign_off(&mut self, now: Monotonic) -> Option<Step> {
        self.state = State::SigningOff { awaited: self.await_from(now) };
        Some(Step::Say(Function::SignOff))
    }

    fn await_from(&self, now: Monotonic) -> Awaited {
        Awaited { stan: None, deadline: now.after(self.settings.answer_timeout) }
    }

    /// Whether it carries traffic.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// Whether it is signed on and waits for keys.
    pub fn awaits_keys(&self) -> bool {
        self.state == State::Keys
    }

    /// Whether it waits for answers before it signs off.
    pub fn is_draining(&self) -> bool {
        self.state == State::Draining
    }

    /// Whether it is over for good.
    pub fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// The epoch of the present connection.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The state as operators see it.
    pub fn state(&self) -> SessionState {
        match self.state {
            State::Idle | State::Down { .. } | State::Closing | State::Stopped => SessionState::Down,
            State::Connecting => SessionState::Connecting,
            State::SigningOn { .. } => SessionState::SigningOn,
            State::Keys => SessionState::Keys,
            State::SignedOff { .. } => SessionState::SignedOff,
            State::Online { .. } => SessionState::Online,
            State::Draining | State::SigningOff { .. } => SessionState::Draining,
        }
    }

    /// When [`Session::wake`] has something to do.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        match self.state {
            State::Down { retry_at } => Some(retry_at),
            State::SignedOff { retry_at } => retry_at,
            State::SigningOn { awaited } | State::SigningOff { awaited } => Some(awaited.deadline),
            State::Online { echo: Some(awaited) } => Some(awaited.deadline),
            State::Online { echo: None } => Some(self.last_heard.after(self.settings.echo_idle)),
            State::Idle | State::Connecting | State::Keys | State::Draining | State::Closing | State::Stopped => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::settings::NetworkSettings;
    use super::*;

    fn settings() -> Arc<SessionSettings> {
        let text = |text: &str| text.to_owned();
        let network = NetworkSettings {
            mti: text("0800"),
            time: 7,
            stan: 11,
            function: 70,
            response_code: 39,
            approved: vec![text("00")],
            sign_on: text("001"),
            sign_off: text("002"),
            echo: text("301"),
            cutover_begin: None,
            cutover_mti: None,
            cutover_end: None,
            key_change: None,
            key_demand: None,
            business_date: 15,
        };
        Arc::new(SessionSettings {
            match_on: vec![7],
            network,
            echo_idle: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10),
            missed_echoes: 2,
            reconnect_min: Duration::from_secs(1),
            reconnect_max: Duration::from_secs(8),
        })
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000)
    }

    fn stan(number: u32) -> Stan {
        Stan::new(number).unwrap()
    }

    fn online() -> Session {
        let mut session = Session::new(settings());
        assert_eq!(session.start(), Some(Step::Connect));
        assert_eq!(session.connected(at(0)), Some(Step::Say(Function::SignOn)));
        session.said(stan(1));
        assert!(!session.is_online(), "TCP up is not online");
        assert_eq!(session.replied(Some(stan(1)), true, at(0)), Some(Step::SignedOn));
        assert!(!session.is_online(), "it has no keys yet");
        assert_eq!(session.keyed(), Some(Step::Online));
        session
    }

    #[test]
    fn without_keys_the_session_is_given_up_and_pauses_grow() {
        let mut session = Session::new(settings());
        session.start();
        let mut pauses = Vec::new();
        for second in [0, 100] {
            session.connected(at(second));
            session.said(stan(1));
            session.replied(Some(stan(1)), true, at(second));
            assert_eq!((session.state(), session.next_deadline()), (SessionState::Keys, None));
            assert_eq!(session.unkeyed(), Some(Step::Disconnect));
            assert_eq!((session.keyed(), session.unkeyed()), (None, None), "it is over");
            session.disconnected(at(second), 999);
            pauses.push(session.next_deadline().unwrap().0 / 1000 - second * 1000);
            session.wake(at(second + 50));
        }
        assert_eq!(pauses, [999, 1999], "a sign-on alone is no success");
    }

    #[test]
    fn what_waits_for_keys_can_leave_and_is_asked_to() {
        let waiting = || {
            let mut session = Session::new(settings());
            session.start();
            session.connected(at(0));
            session.said(stan(1));
            session.replied(Some(stan(1)), true, at(0));
            session
        };
        let mut leaving = waiting();
        assert_eq!(leaving.make_for(Goal::Closed, at(1)), Some(Step::Say(Function::SignOff)));
        assert_eq!(leaving.keyed(), None, "keys come too late");
        let mut left = waiting();
        left.asked(Function::SignOff, at(1));
        assert_eq!(left.state(), SessionState::SignedOff);
    }

    #[test]
    fn only_the_answer_to_the_sign_on_opens_the_session() {
        let mut session = Session::new(settings());
        session.start();
        session.connected(at(0));
        assert_eq!(session.replied(None, true, at(0)), None, "nothing was written yet");
        session.said(stan(1));
        assert_eq!(session.replied(Some(stan(2)), true, at(0)), None);
        assert_eq!(session.replied(Some(stan(1)), false, at(0)), Some(Step::Disconnect));
    }

    #[test]
    fn a_silent_peer_is_given_up_after_two_echoes() {
        let mut session = online();
        assert_eq!(session.wake(at(29)), None);
        assert_eq!(session.wake(at(30)), Some(Step::Say(Function::Echo)));
        assert_eq!(session.next_deadline(), Some(at(40)));
        assert_eq!(session.wake(at(40)), Some(Step::Say(Function::Echo)));
        assert_eq!(session.wake(at(50)), Some(Step::Disconnect));
        assert!(!session.is_online());
    }

    #[test]
    fn traffic_spares_the_echo() {
        let mut session = online();
        session.heard(at(29));
        assert_eq!(session.wake(at(30)), None);
        assert_eq!(session.next_deadline(), Some(at(59)));
    }

    #[test]
    fn pauses_double_to_their_bound_and_are_half_drawn_by_lot() {
        let mut session = Session::new(settings());
        let mut pauses = Vec::new();
        for _ in 0..6 {
            session.disconnected(at(0), 999);
            pauses.push(session.next_deadline().unwrap().0 / 1000);
        }
        assert_eq!(pauses, [999, 1999, 3998, 7996, 7996, 7996]);
        session.disconnected(at(0), 0);
        assert_eq!(session.next_deadline(), Some(at(4)));
    }

    #[test]
    fn a_sign_on_without_a_number_keeps_its_connection() {
        let mut session = Session::new(settings());
        session.start();
        session.connected(at(0));
        assert_eq!(session.unsaid(at(0)), None);
        let due = session.next_deadline().unwrap();
        assert_eq!(session.wake(due), Some(Step::Say(Function::SignOn)));
    }

    #[test]
    fn an_echo_without_a_number_is_put_off() {
        let mut session = online();
        assert_eq!(session.wake(at(30)), Some(Step::Say(Function::Echo)));
        assert_eq!(session.unsaid(at(30)), None);
        assert_eq!(session.next_deadline(), Some(at(60)), "not at once");
    }

    #[test]
    fn a_new_connection_is_a_new_epoch() {
        let mut session = online();
        let before = session.epoch();
        session.disconnected(at(5), 0);
        assert!(!session.is_online());
        assert_eq!(session.wake(at(6)), Some(Step::Connect));
        session.connected(at(6));
        assert_ne!(session.epoch(), before);
        assert_eq!(session.replied(Some(stan(1)), true, at(6)), None, "the old sign-on is void");
    }

    #[test]
    fn a_peer_that_signs_off_is_signed_on_again_after_a_pause() {
        let mut session = online();
        session.asked(Function::SignOff, at(3));
        assert!(!session.is_online());
        assert_eq!(session.wake(at(4)), Some(Step::Say(Function::SignOn)));
    }

    #[test]
    fn draining_signs_off_and_stays_down() {
        let mut session = online();
        assert_eq!(session.make_for(Goal::Stopped, at(1)), None, "answers are waited for");
        assert!(!session.is_online());
        assert_eq!(session.quiet(at(1)), Some(Step::Say(Function::SignOff)));
        session.said(stan(2));
        assert_eq!(session.replied(Some(stan(2)), true, at(1)), Some(Step::Disconnect));
        session.disconnected(at(2), 0);
        assert!(session.is_stopped());
        assert_eq!(session.next_deadline(), None);
    }

    #[test]
    fn a_request_without_answer_makes_the_line_doubted() {
        let mut session = online();
        session.heard(at(3));
        assert_eq!(session.doubt(at(2), at(7)), None, "the peer was heard since");
        assert_eq!(session.doubt(at(3), at(8)), Some(Step::Say(Function::Echo)));
        assert_eq!(session.doubt(at(3), at(8)), None, "one at a time");
        session.said(stan(2));
        assert_eq!(session.replied(Some(stan(2)), true, at(9)), Some(Step::Echoed));
    }

    #[test]
    fn an_operator_signs_off_and_on_without_a_new_connection() {
        let mut session = online();
        let epoch = session.epoch();
        session.make_for(Goal::SignedOff, at(1));
        session.quiet(at(2));
        session.said(stan(2));
        assert_eq!(session.replied(Some(stan(2)), true, at(2)), None);
        assert_eq!((session.state(), session.next_deadline()), (SessionState::SignedOff, None));
        assert_eq!(session.make_for(Goal::Online, at(5)), Some(Step::Say(Function::SignOn)));
        session.said(stan(3));
        assert_eq!(session.replied(Some(stan(3)), true, at(5)), Some(Step::SignedOn));
        assert_eq!(session.keyed(), Some(Step::Online));
        assert_eq!(session.epoch(), epoch);
    }

    #[test]
    fn a_closed_session_stays_closed_until_it_is_opened() {
        let mut session = online();
        session.make_for(Goal::Closed, at(1));
        assert_eq!(session.quiet(at(1)), Some(Step::Say(Function::SignOff)));
        session.said(stan(2));
        assert_eq!(session.wake(at(11)), Some(Step::Disconnect), "no answer to the sign-off");
        session.disconnected(at(11), 0);
        assert_eq!((session.next_deadline(), session.start()), (None, None));
        assert_eq!(session.make_for(Goal::Online, at(20)), Some(Step::Connect));
    }

    #[test]
    fn whoever_changes_their_mind_while_draining_goes_on() {
        let mut session = online();
        session.make_for(Goal::Closed, at(1));
        assert_eq!(session.make_for(Goal::Online, at(2)), Some(Step::Online));
        assert!(session.is_online());
        session.make_for(Goal::Stopped, at(3));
        assert_eq!(session.make_for(Goal::Online, at(4)), None, "what is stopped stays so");
        assert!(!session.is_online());
    }
}
