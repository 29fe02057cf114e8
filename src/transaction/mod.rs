//! One payment's life: the records that tell it, the fold that reads them, and the rules of what may follow.
//!
//! ```text
//!               ┌──────────── approved ────┐
//!   requested ──┼──────────── declined     │ capture, void and refund are operations of their own,
//!      │        └──────────── failed       │ each with this same diagram
//!      └─ unknown ─▶ reversing ─▶ reversed (or `pending` where the host wants no reversal)
//! ```
//!
//! A payment is nothing but the fold of its records ([`Payment::fold`]); whoever holds the records holds the truth.
//! This module knows money and no bytes: which element carries what is `translation`'s business.

mod cbor;
mod listing;
mod obligation;
mod payment;
mod provenance;
mod record;
mod rules;

pub use cbor::{FORMAT, RecordError, decode, encode};
pub use listing::{Listing, Page, Place};
pub use obligation::{Discharge, Obligation, ObligationKind};
pub use payment::{FoldError, Operation, OperationState, Owed, Payment, PaymentStatus};
pub use provenance::{Provenance, TraceParent};
pub use record::{
    Body, CardSummary, Delivery, Fingerprint, IdempotencyKey, Origin, Outcome, Record, Requested, Rerouted,
};
pub use rules::{Illegal, Plan};
