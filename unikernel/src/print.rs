//! `print_line!`: how everything here but the console says something.
//!
//! Invariant: what is printed is one line of printable ASCII, whatever is formatted into it: the
//! message of a panic may quote what a guest or a file brought.

/// Prints one line, formatted as by `format!`; what is no printable ASCII becomes `?`.
#[macro_export]
macro_rules! print_line {
    ($($text:tt)*) => {
        $crate::arch::uart::print_line(format_args!($($text)*))
    };
}
