//! `print_line!`: how everything here but the console says something.

/// Prints one line, formatted as by `format!`.
#[macro_export]
macro_rules! print_line {
    ($($text:tt)*) => {
        $crate::arch::uart::print(format_args!("{}\n", format_args!($($text)*)))
    };
}
