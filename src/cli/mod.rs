//! The commands, one file each.

pub mod bank;
pub mod check;
mod columns;
mod configuration;
pub mod demo;
mod desk;
pub mod iso;
pub mod load;
mod logging;
pub mod merchant;
pub mod operator;
pub mod serve;
