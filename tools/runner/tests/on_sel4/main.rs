//! What only seL4 can show: protection domains that die, a trace component that the scheduler
//! keeps from running, other priorities and budgets, another board.
//!
//! Each test changes the text of a system description and nothing else, so the protection domains are
//! the ones that users run. Needs `MICROKIT_SDK`; without it each test says so by name.

#[path = "../platforms/mod.rs"]
mod platforms;

mod boards;
mod changed;
mod deaths;
mod memory;
mod time;
