//! What the switch shows of itself to operators; nothing acts on it.

use super::event::LinkId;
use super::frame::Frame;
use crate::payment::{BusinessDate, Name, OperationKind, PaymentId, ResultCode, Rrn, Stan};

/// Something worth seeing.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A frame left for a bank.
    Sent {
        /// For which payment, none for network management.
        payment: Option<PaymentId>,
        /// On which link.
        link: LinkId,
        /// The frame.
        frame: Frame,
    },
    /// A bank's reply found its request.
    Replied {
        /// Of which payment, none for network management.
        payment: Option<PaymentId>,
        /// On which link.
        link: LinkId,
        /// The frame.
        frame: Frame,
        /// From hand-over to reply.
        took: std::time::Duration,
    },
    /// An outcome was decided.
    Settled {
        /// What was asked for.
        kind: OperationKind,
        /// What it means.
        result: ResultCode,
        /// The bank's code.
        response_code: Option<String>,
    },
    /// A reply came too late, twice, or for nothing we know.
    Stray {
        /// Which of these.
        kind: Stray,
        /// On which link.
        link: LinkId,
        /// Its trace number, where it could be read.
        stan: Option<Stan>,
        /// Its retrieval reference, where it could be read.
        rrn: Option<Rrn>,
    },
    /// A request that was certainly not sent goes to another host.
    Rerouted {
        /// Of which payment.
        payment: PaymentId,
        /// Its host so far.
        from: Name,
        /// Its host from now on.
        to: Name,
    },
    /// A payment was approved in the place of its bank.
    StoodIn {
        /// Which one.
        host: Name,
    },
    /// A submission was refused, or passed on, because its host has no room.
    HostFull {
        /// Which one.
        host: Name,
    },
    /// A frame could not be read.
    Unreadable {
        /// On which link.
        link: LinkId,
        /// Stable code of the fault.
        code: &'static str,
    },
    /// A bank's frame is not authentic, a frame of ours could not be made so, or keys could not be exchanged.
    KeyAlarm {
        /// On which link.
        link: LinkId,
        /// Stable name of what is wrong: bad, absent, no_key, complaint, or why keys were not taken.
        fault: &'static str,
    },
    /// Keys were exchanged.
    KeysChanged {
        /// With which host.
        host: Name,
        /// Their number.
        number: u32,
    },
    /// A link changed its state.
    Link {
        /// Which one.
        link: LinkId,
        /// Its new state.
        state: &'static str,
    },
    /// The business day of a host ended and another began.
    Cutover {
        /// Which host.
        host: Name,
        /// The day that ended.
        ended: BusinessDate,
        /// The day that began.
        begun: BusinessDate,
    },
    /// A host was told that our day has ended, and said no, or nothing, again and again: a person must tell it.
    CutoverUntold {
        /// Which host.
        host: Name,
        /// The day that began.
        begun: BusinessDate,
    },
    /// A host asked again and again to come later with what it is owed: nothing of it is sent for a while.
    QueueRests {
        /// Which host.
        host: Name,
        /// For how long.
        lasts: std::time::Duration,
    },
    /// A host says that it is done with the day that ended.
    DayFinished {
        /// Which host.
        host: Name,
    },
    /// An earlier business day was closed: nothing of it is in flight or owed any more.
    DayClosed {
        /// Of which host.
        host: Name,
        /// Which day.
        day: BusinessDate,
    },
    /// Something owed needs a person.
    Exception {
        /// For which payment.
        payment: PaymentId,
        /// Number of the obligation.
        obligation: u16,
    },
}

/// The kinds of replies that match no pending request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stray {
    /// Its request was settled without it.
    Late,
    /// Its request was answered already.
    Duplicate,
    /// It came on another link than its request went, at a host where that settles nothing.
    OtherLink,
    /// No request is known for it.
    Unmatched,
}
