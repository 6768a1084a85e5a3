//! What the program says beside its output: on standard error, which may be full or gone.
//!
//! Invariant: that nobody can be told is no reason to stop.

use anstyle::AnsiColor;
use std::fmt::Display;
use std::io::Write;

/// A warning, with colour if standard error is a terminal and the environment allows it.
pub fn warn(text: impl Display) {
    let style = AnsiColor::Yellow.on_default().bold();
    // There is nowhere else to say it.
    let _ = writeln!(anstream::stderr(), "{style}warning:{style:#} {text}");
}

/// A text that is ready to print.
pub fn say(text: &str) {
    // As above.
    let _ = anstream::stderr().write_all(text.as_bytes());
}
