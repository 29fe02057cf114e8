//! What an operator orders, and what is said to it.
//!
//! An order that changes something is carried out only once it is durable with who gave it and why; looking at things
//! leaves no trace.

use super::event::{HostMode, LinkId};
use super::{HostSnapshot, Snapshot};
use crate::payment::{BusinessDate, Name, PaymentId, Wall};
use crate::transaction::ObligationKind;
use std::fmt;
use std::time::Duration;

/// Who waits for an operator's answer; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(pub u64);

/// An order with whoever gave it.
#[derive(Clone, Debug)]
pub struct Operate {
    /// Whom to answer.
    pub waiter: OperatorId,
    /// Who gives it.
    pub who: String,
    /// Why; empty for looking at things.
    pub why: String,
    /// What is to be done.
    pub order: Order,
}

/// What an operator can order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Show the hosts with their links.
    Hosts,
    /// Show what is owed to a host, or to all of them, oldest first.
    Queues(Option<Name>),
    /// Let a host do everything, or less.
    Host {
        /// Which one.
        host: Name,
        /// What it may do from now on.
        mode: HostMode,
    },
    /// Do something with a link.
    Link {
        /// Which one.
        link: LinkId,
        /// What.
        what: LinkOrder,
    },
    /// A host's business day ends.
    Cutover {
        /// Which host.
        host: Name,
        /// The day that begins; the next one if absent.
        day: Option<BusinessDate>,
    },
    /// A message that was given up or refused is owed again.
    Release {
        /// Of which payment.
        payment: PaymentId,
        /// Number of the obligation.
        obligation: u16,
    },
    /// The operator settles it with the bank in another way: it is no exception any more.
    Expire {
        /// Of which payment.
        payment: PaymentId,
        /// Number of the obligation.
        obligation: u16,
    },
    /// Stop in order. It is only recorded here: the doors close first, and they are not the switch's.
    Drain,
}

/// What can be done with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOrder {
    /// Connect where it is not, and sign on.
    SignOn,
    /// Take no new traffic, wait for answers, sign off, stay connected.
    SignOff,
    /// Take no new traffic, wait for answers, sign off, close the connection.
    Drain,
    /// See whether the peer answers.
    Echo,
    /// Exchange keys.
    ChangeKeys,
}

impl Order {
    /// Whether it changes something, so that it is recorded first.
    pub fn is_change(&self) -> bool {
        !matches!(self, Order::Hosts | Order::Queues(_) | Order::Link { what: LinkOrder::Echo, .. })
    }
}

/// As the audit keeps it.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Hosts => f.write_str("hosts"),
            Order::Queues(None) => f.write_str("queues"),
            Order::Queues(Some(host)) => write!(f, "queues {host}"),
            Order::Host { host, mode } => write!(f, "host {} {host}", mode.name()),
            Order::Link { link, what } => write!(f, "link {} {}", what.name(), link.0),
            Order::Cutover { host, day: None } => write!(f, "cutover {host}"),
            Order::Cutover { host, day: Some(day) } => write!(f, "cutover {host} {day}"),
            Order::Release { payment, obligation } => write!(f, "release {payment} {obligation}"),
            Order::Expire { payment, obligation } => write!(f, "expire {payment} {obligation}"),
            Order::Drain => f.write_str("drain"),
        }
    }
}

impl LinkOrder {
    /// The name for operators.
    pub fn name(self) -> &'static str {
        match self {
            LinkOrder::SignOn => "sign-on",
            LinkOrder::SignOff => "sign-off",
            LinkOrder::Drain => "drain",
            LinkOrder::Echo => "echo",
            LinkOrder::ChangeKeys => "keys",
        }
    }
}

/// An order as it is made durable, before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it was given.
    pub at: Wall,
    /// By whom.
    pub who: String,
    /// Why.
    pub why: String,
    /// What.
    pub order: String,
}

/// What an operator is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// It is done, or begun where it takes its time (a link that drains).
    Done,
    /// It was so already.
    Unchanged,
    /// The peer answered.
    Echoed {
        /// After so long.
        took: Duration,
    },
    /// The hosts.
    Hosts(Box<Snapshot>),
    /// What is owed, oldest first, and how much more there is.
    Queues {
        /// At most as many as fit.
        owed: Vec<OwedLine>,
        /// So many more are owed.
        more: usize,
    },
}

/// One message that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedLine {
    /// To which host.
    pub host: Name,
    /// For which payment.
    pub payment: PaymentId,
    /// Number of the obligation.
    pub obligation: u16,
    /// What kind of message.
    pub kind: ObligationKind,
    /// Its type.
    pub mti: u16,
    /// Since when.
    pub since: Wall,
    /// Of which business day.
    pub day: BusinessDate,
    /// How often it was sent in this run.
    pub attempts: u32,
    /// How long until it is sent again; none while it is in flight, or waits for one before it.
    pub due_in: Option<Duration>,
}

/// Why an order is not carried out. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// No host of that name.
    #[error("there is no such host; `isthmus operator hosts` lists them")]
    NoSuchHost,
    /// No link of that number.
    #[error("there is no such link; `isthmus operator hosts` lists them")]
    NoSuchLink,
    /// The host of the link is down.
    #[error("the host of this link is down; `isthmus operator host up` comes first")]
    HostDown,
    /// The link carries no traffic.
    #[error("the link is not online, or an echo is under way on it; look at it with `isthmus operator hosts`")]
    NotOnline,
    /// The peer did not answer.
    #[error("the bank did not answer the echo; a link that misses several is given up and connected again")]
    NoAnswer,
    /// The host takes no exchange of keys.
    #[error("this host exchanges no keys, or brings them only by itself")]
    NoKeys,
    /// The exchange did not succeed.
    #[error("the keys could not be exchanged; the log and isthmus_key_alarms_total say why")]
    KeysRefused,
    /// No such payment or obligation.
    #[error("there is no such item; `isthmus operator parked` lists them")]
    NoSuchItem,
    /// It is neither given up nor refused.
    #[error("this item is not parked; `isthmus operator parked` lists those that are")]
    NotParked,
    /// What it tells of was voided, or a void of it is not decided yet.
    #[error("what this item tells the bank of was voided, or may be; expire it, or settle the void first")]
    TakenBack,
    /// It builds on another item that waits for a person too.
    #[error("this item builds on an earlier one of its payment; release or expire that one first")]
    Behind,
    /// Its payment is being recorded.
    #[error("something else is being recorded for this payment; try again")]
    Busy,
    /// Too many orders wait.
    #[error("too many orders wait; try again")]
    TooMany,
    /// The store cannot be written or read.
    #[error("the store takes no records now, so nothing may be changed; see /readyz")]
    StoreUnavailable,
    /// The switch is starting or stopping.
    #[error("the switch is starting or stopping and takes no orders")]
    NotRunning,
}

impl OrderRefusal {
    /// The stable code for scripts.
    pub fn code(self) -> &'static str {
        match self {
            OrderRefusal::NoSuchHost => "no_such_host",
            OrderRefusal::NoSuchLink => "no_such_link",
            OrderRefusal::HostDown => "host_down",
            OrderRefusal::NotOnline => "link_not_online",
            OrderRefusal::NoAnswer => "no_answer",
            OrderRefusal::NoKeys => "no_keys",
            OrderRefusal::KeysRefused => "keys_refused",
            OrderRefusal::NoSuchItem => "no_such_item",
            OrderRefusal::NotParked => "not_parked",
            OrderRefusal::TakenBack => "taken_back",
            OrderRefusal::Behind => "behind_another",
            OrderRefusal::Busy => "busy",
            OrderRefusal::TooMany => "too_many_orders",
            OrderRefusal::StoreUnavailable => "store_unavailable",
            OrderRefusal::NotRunning => "not_running",
        }
    }
}

impl Snapshot {
    /// The host of a name.
    pub fn host(&self, name: &Name) -> Option<&HostSnapshot> {
        self.hosts.iter().find(|host| host.name == *name)
    }
}
