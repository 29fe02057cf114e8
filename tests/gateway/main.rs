//! The merchants' door end to end: real TLS on loopback, a client that shares no code with the door, and behind the
//! door a scripted switch that keeps real records.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bad_input;
mod cape;
mod card_present;
mod door;
mod framed;
mod hostile;
mod load;
mod manners;
mod merchants;
mod openapi;
mod permitted;
mod scripted_switch;
mod sealed;
mod signed;
mod stage;
mod tokens;
mod xml;
