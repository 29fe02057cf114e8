//! What the switch is told, and what it answers: the whole of its contact with the world.

use super::frame::Frame;
use super::observation::Observation;
use super::order::{AuditEntry, Operate, OperatorId, OrderRefusal, Told};
use super::submission::Submission;
pub use crate::host::DayMark;
use crate::payment::{BusinessDate, Card, CardId, Monotonic, Name, PaymentId};
use crate::security::{KeySlot, OfferedKey, Seal};
use crate::transaction::{Illegal, Payment, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who waits for an answer at an edge; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// An append on its way to the store; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A frame on its way to a link; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub u64);

/// A link of a host: place in the configured order, over all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u16);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// What the store says was in motion when the last run ended. Comes before [`Event::Start`].
    Resume(Vec<Stored>),
    /// How far numbers were reserved by earlier runs. Comes before [`Event::Start`].
    Numbers(Vec<NumberBlock>),
    /// How the hosts stood when the last run ended. Comes before [`Event::Start`].
    Hosts(Vec<HostMark>),
    /// Connect the links and take work.
    Start,
    /// A merchant asks for something.
    Submit(Box<Submission>),
    /// An append was made durable, or not.
    Recorded {
        /// Which one.
        ticket: Ticket,
        /// Whether it is durable.
        result: Result<(), NotRecorded>,
    },
    /// A payment was loaded, or is not there.
    Loaded {
        /// Which one was asked for.
        payment: PaymentId,
        /// Its records; `Err` where the store could not be read.
        found: Result<Option<Box<Stored>>, ()>,
    },
    /// A connection stands; nothing has been said on it.
    Connected {
        /// On which link.
        link: LinkId,
    },
    /// A connection ended or could not be made.
    Disconnected {
        /// On which link.
        link: LinkId,
        /// Frames of which no byte was handed to the connection.
        unsent: Vec<SendId>,
    },
    /// A whole frame came.
    Arrived {
        /// On which link.
        link: LinkId,
        /// Without its length header.
        frame: Frame,
        /// What its message authentication code says of it.
        mac: MacVerdict,
    },
    /// Again what the message authentication code of a frame says of it, after keys changed.
    Judged {
        /// From which link.
        link: LinkId,
        /// Without its length header.
        frame: Frame,
        /// What it says now.
        mac: MacVerdict,
    },
    /// The key service took the keys that a host offered, or did not.
    KeysTaken {
        /// Of which host.
        host: Name,
        /// Their number.
        number: u32,
        /// Why they were not taken: a stable name.
        fault: Option<&'static str>,
    },
    /// Frames that could not be sealed: they were never handed to a connection, and never can be.
    Unsealed {
        /// On which link.
        link: LinkId,
        /// Which ones.
        sends: Vec<SendId>,
        /// Stable name of what was wrong: [`NO_KEY`] or another.
        fault: &'static str,
    },
    /// Frames were not handed to a connection that still stands, because their time had passed.
    Unsent {
        /// On which link.
        link: LinkId,
        /// Which ones.
        sends: Vec<SendId>,
    },
    /// A deadline named by [`super::Switch::next_deadline`] has come.
    Wake,
    /// Take no new work, finish what is in flight, sign off.
    Drain,
    /// An operator orders something.
    Operate(Box<Operate>),
}

/// The fault of a frame for which there was no key.
pub const NO_KEY: &str = "no_key";

/// What the message authentication code of a frame says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MacVerdict {
    /// The host's messages of this class bear none.
    NotAsked,
    /// It is what the host said.
    Good,
    /// It was changed on its way, or made under another key.
    Bad,
    /// It should bear one and does not.
    Absent,
}

impl MacVerdict {
    /// Whether what the frame says may be believed.
    pub fn is_trusted(self) -> bool {
        matches!(self, MacVerdict::NotAsked | MacVerdict::Good)
    }

    /// A stable name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            MacVerdict::NotAsked => "not_asked",
            MacVerdict::Good => "good",
            MacVerdict::Bad => "bad",
            MacVerdict::Absent => "absent",
        }
    }
}

/// A payment as the store holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its records, oldest first.
    pub records: Vec<Record>,
    /// Its card without verification code; none once it was purged.
    pub card: Option<Card>,
}

/// How far the numbers of an acquirer are reserved; those below were or may have been used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberBlock {
    /// The acquiring institution.
    pub acquirer: Name,
    /// Count of trace numbers reserved since the beginning (they wrap; the count does not).
    pub stans: u64,
    /// Count of retrieval references reserved since the beginning.
    pub rrns: u64,
}

/// How a host stands, as far as that outlives a run; the last one written counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMark {
    /// Which host.
    pub host: Name,
    /// Its business days, once one is known.
    pub day: Option<DayMark>,
    /// What operators let it do.
    pub mode: HostMode,
    /// The links that operators took off the line, by their place among the host's links.
    pub links: BTreeMap<u16, LinkRest>,
    /// The day that began by us, while the host has not said that it knows.
    pub untold: Option<BusinessDate>,
}

/// How an operator took a link off the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRest {
    /// Signed off, and connected.
    SignedOff,
    /// Signed off and closed.
    Closed,
}

/// What operators let a host do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostMode {
    /// Everything.
    #[default]
    Up,
    /// Its links are kept and what it is owed is sent; new requests are not.
    Maintenance,
    /// Nothing: its links are signed off and closed once their answers came.
    Down,
}

impl HostMode {
    /// The name for operators.
    pub fn name(self) -> &'static str {
        match self {
            HostMode::Up => "up",
            HostMode::Maintenance => "maintenance",
            HostMode::Down => "down",
        }
    }
}

/// Why an append is not in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRecorded {
    /// The merchant used this key before, for an operation of this payment.
    KeyUsed(PaymentId),
    /// Another writer was first.
    VersionTaken,
    /// The store cannot be written. Nothing of the append is in it.
    Unavailable,
}

/// Something to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Make this durable, all of it or nothing, then say [`Event::Recorded`].
    Append {
        /// To be named in the answer.
        ticket: Ticket,
        /// What to record.
        entry: Entry,
    },
    /// Read a payment, then say [`Event::Loaded`].
    Load {
        /// Which one.
        payment: PaymentId,
    },
    /// Connect a link, then say [`Event::Connected`] or [`Event::Disconnected`].
    Connect {
        /// Which one.
        link: LinkId,
    },
    /// End the connection of a link, then say [`Event::Disconnected`].
    Disconnect {
        /// Which one.
        link: LinkId,
    },
    /// Hand a frame to a link.
    Send {
        /// Which one.
        link: LinkId,
        /// To be named if it is not handed over.
        id: SendId,
        /// Without its length header.
        frame: Frame,
        /// What keys fill in just before it is written.
        seals: Vec<Seal>,
        /// After this moment it must not be handed over any more.
        send_by: Monotonic,
    },
    /// Have the key service take what a host offers, then say [`Event::KeysTaken`].
    TakeKeys {
        /// Which host.
        host: Name,
        /// Under which number.
        number: u32,
        /// The keys, enciphered as they came.
        offered: Vec<OfferedKey>,
    },
    /// Have the key service forget a key.
    ForgetKey(KeySlot),
    /// Judge a frame once more, then say [`Event::Judged`].
    Judge {
        /// From which link it came.
        link: LinkId,
        /// Without its length header.
        frame: Frame,
    },
    /// Answer a merchant.
    Answer {
        /// Whom.
        waiter: WaiterId,
        /// With what.
        answer: Answer,
    },
    /// Tell an operator.
    Told {
        /// Whom.
        waiter: OperatorId,
        /// What came of the order.
        said: Result<Told, OrderRefusal>,
    },
    /// Nothing is in flight any more after [`Event::Drain`]; what is still owed is recorded.
    Drained,
    /// For the eyes of operators: no one acts on it.
    Observe(Observation),
}

/// What an append makes durable.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Records of one payment, and its card with the first of them.
    Payment {
        /// Consecutive versions.
        records: Vec<Record>,
        /// To be sealed and stored in the same step.
        card: Option<(CardId, Box<Card>)>,
    },
    /// Numbers reserved for use.
    Numbers(NumberBlock),
    /// How a host stands from now on.
    Host(HostMark),
    /// An operator's order, before it is carried out.
    Audit(AuditEntry),
}

/// What a merchant is told.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The payment as it stands by this operation.
    Told {
        /// As it was when the operation's outcome was recorded.
        payment: Arc<Payment>,
        /// Number of the operation.
        operation: u16,
        /// Whether this answer was given before.
        replayed: bool,
    },
    /// Nothing was done for this request.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such payment of this merchant.
    #[error("no such payment")]
    NotFound,
    /// The payment does not allow it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The first request under this key has no outcome yet.
    #[error("a request with this idempotency key is still in flight")]
    KeyInFlight,
    /// The key was used with another content.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// Too many operations wait on this payment.
    #[error("too many operations wait on this payment")]
    PaymentBusy,
    /// Too much is in flight.
    #[error("too many operations are in flight")]
    Overloaded,
    /// Too much is in flight to the bank it would go to.
    #[error("too many operations wait for this bank")]
    HostBusy,
    /// There are routes, and none is for it.
    #[error("no bank takes this payment")]
    NoRoute,
    /// The switch is stopping.
    #[error("the service is stopping")]
    Draining,
    /// Records cannot be written or read.
    #[error("the store cannot be used")]
    StoreUnavailable,
    /// The bank answered, but its answer could not be made durable yet.
    #[error("the outcome is not recorded yet; ask again with the same key")]
    OutcomeNotRecorded,
    /// The dialect of the bank has no message for it.
    #[error("the bank does not take this operation")]
    NotSupported,
    /// The card is no longer stored.
    #[error("the card of this payment is no longer stored")]
    CardGone,
}
