//! The commands, one file each.

pub mod bank;
pub mod check;
mod columns;
pub mod demo;
pub mod iso;
pub mod load;
mod logging;
pub mod operator;
pub mod serve;
