//! The console with a VMM and a trace component that write what they like into the rings of one
//! VM, beside another VM that is well; and with whoever watches over the components.

#[path = "../fixtures/mod.rs"]
mod fixtures;

mod forged;
mod line;
mod machine;
mod typed;
mod watch;
