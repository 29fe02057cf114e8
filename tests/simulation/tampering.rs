//! Broken switches: the stream of events and effects between switch and world, spoiled on purpose.
//!
//! The checker has to fail on each. Nothing of this is in the product: the switch itself is the real one, and what
//! stands between it and the world lies.

use crate::journal::Journal;
use crate::plan::Plan;
use isthmus::switch::{Effect, Event};

/// How the switch is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breakage {
    #[default]
    None,
}

#[derive(Default)]
pub struct Tampering {
    pub breakage: Breakage,
}

/// What comes out in place of the switch's effects.
pub struct Tampered {
    pub now: Vec<Effect>,
    /// Forged events for the switch.
    pub events: Vec<Event>,
}

impl Tampering {
    pub fn event(&mut self, event: Event, _journal: &Journal) -> Event {
        event
    }

    pub fn effects(&mut self, effects: Vec<Effect>, _journal: &Journal, _plan: &Plan) -> Tampered {
        Tampered { now: effects, events: Vec::new() }
    }

    pub fn run_ends(&mut self) {}
}
