//! Expressions on volatile memory, in the types that a device has. Compiled by the test `compiled`
//! at every optimization level, as programs that use a device are.

use core::ptr::{read_volatile, write_volatile};

/// One expression: what it is called, and a function of a pointer and two numbers.
#[repr(C)]
pub struct Expression {
    name: *const u8,
    name_len: usize,
    run: unsafe extern "C" fn(*mut u8, u64, u64) -> u64,
}

macro_rules! list {
    ($type:ident: $($name:literal |$p:ident, $x:ident, $y:ident| $body:expr;)*) => {
        #[unsafe(export_name = concat!("expressions_", stringify!($type)))]
        pub unsafe extern "C" fn list(len: *mut usize) -> *const Expression {
            struct List<const N: usize>([Expression; N]);
            // SAFETY: names and functions, which nobody changes.
            unsafe impl<const N: usize> Sync for List<N> {}
            const LEN: usize = [$($name),*].len();
            static LIST: List<LEN> = List([$({
                unsafe extern "C" fn run(p: *mut u8, x: u64, y: u64) -> u64 {
                    let ($p, $x, $y) = (p.cast::<$type>(), x as $type, y as $type);
                    let _ = ($x, $y);
                    // SAFETY: the test gives a word of memory.
                    unsafe {
                        let value = $body;
                        value as u64
                    }
                }
                const NAME: &str = concat!(stringify!($type), ": ", $name);
                Expression { name: NAME.as_ptr(), name_len: NAME.len(), run }
            }),*]);
            // SAFETY: the test gives a variable.
            unsafe { *len = LEN };
            LIST.0.as_ptr()
        }
    };
}

/// Reads it as a value; and reads it, changes it, and writes it.
macro_rules! expressions {
    ($type:ident, $signed:ident, $unsigned:ident) => {
        mod $type {
            use super::*;

            list! {
                $type:
                "read" |p, x, y| read_volatile(p);
                "write" |p, x, y| { write_volatile(p, x); 0 };
                "write a constant" |p, x, y| { write_volatile(p, 0x5a); 0 };
                "+ read" |p, x, y| x.wrapping_add(read_volatile(p));
                "- read" |p, x, y| x.wrapping_sub(read_volatile(p));
                "* read" |p, x, y| x.wrapping_mul(read_volatile(p));
                "read * constant" |p, x, y| read_volatile(p).wrapping_mul(77);
                "* read, all bits" |p, x, y| (x as u64).wrapping_mul(read_volatile(p) as u64);
                "* read, upper half" |p, x, y| ((x as i64).wrapping_mul(read_volatile(p) as i64) >> $type::BITS);
                "/ read" |p, x, y| x.checked_div(read_volatile(p)).unwrap_or(3);
                "read / constant" |p, x, y| read_volatile(p) / 7;
                "read % constant" |p, x, y| read_volatile(p) % 10;
                "& read" |p, x, y| x & read_volatile(p);
                "| read" |p, x, y| x | read_volatile(p);
                "^ read" |p, x, y| x ^ read_volatile(p);
                "read as 64 bits, signed" |p, x, y| read_volatile(p) as $signed as i64;
                "read as 64 bits" |p, x, y| read_volatile(p) as $unsigned as u64;
                "read as 32 bits, signed" |p, x, y| read_volatile(p) as $signed as i32;
                "read as 8 bits, signed" |p, x, y| read_volatile(p) as i8 as i64;
                "read < x" |p, x, y| read_volatile(p) < x;
                "read == x" |p, x, y| read_volatile(p) == x;
                "read == constant" |p, x, y| read_volatile(p) == 0x55;
                "read, if x < y" |p, x, y| { let read = read_volatile(p); if x < y { read } else { y } };
                "read, if it is less" |p, x, y| read_volatile(p).min(x);
                "read, if it is more" |p, x, y| read_volatile(p).max(x);
                "a bit by constant" |p, x, y| read_volatile(p) >> 5 & 1 != 0;
                "a bit by number" |p, x, y| read_volatile(p) >> (x as u32 & ($type::BITS - 1)) & 1 != 0;
                "read << x" |p, x, y| read_volatile(p).wrapping_shl(x as u32);
                "read >> x" |p, x, y| read_volatile(p).wrapping_shr(x as u32);
                "read >> constant" |p, x, y| read_volatile(p) >> 3;
                "x << read" |p, x, y| x.wrapping_shl(read_volatile(p) as u32);
                "bytes swapped" |p, x, y| read_volatile(p).swap_bytes();
                "ones" |p, x, y| read_volatile(p).count_ones();
                "leading zeros" |p, x, y| read_volatile(p).leading_zeros();
                "trailing zeros" |p, x, y| read_volatile(p).trailing_zeros();
                "sum, checked" |p, x, y| x.checked_add(read_volatile(p)).is_some();
                "product, checked" |p, x, y| x.checked_mul(read_volatile(p)).is_some();
                "difference, saturating" |p, x, y| x.saturating_sub(read_volatile(p));
                "distance" |p, x, y| x.abs_diff(read_volatile(p));
                "logarithm" |p, x, y| (read_volatile(p) as $unsigned | 1).ilog2();
                "+=" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_add(x)); 0 };
                "-=" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_sub(x)); 0 };
                "x - it" |p, x, y| { write_volatile(p, x.wrapping_sub(read_volatile(p))); 0 };
                "*=" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_mul(x)); 0 };
                "*= constant" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_mul(9)); 0 };
                "/=" |p, x, y| { write_volatile(p, read_volatile(p).checked_div(x).unwrap_or(3)); 0 };
                "&=" |p, x, y| { write_volatile(p, read_volatile(p) & x); 0 };
                "|=" |p, x, y| { write_volatile(p, read_volatile(p) | x); 0 };
                "^=" |p, x, y| { write_volatile(p, read_volatile(p) ^ x); 0 };
                "|= constant" |p, x, y| { write_volatile(p, read_volatile(p) | 0x10); 0 };
                "&= constant" |p, x, y| { write_volatile(p, read_volatile(p) & 0x3f); 0 };
                "+= 1" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_add(1)); 0 };
                "-= 1" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_sub(1)); 0 };
                "negated" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_neg()); 0 };
                "inverted" |p, x, y| { write_volatile(p, !read_volatile(p)); 0 };
                "<<=" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_shl(x as u32)); 0 };
                ">>=" |p, x, y| { write_volatile(p, read_volatile(p).wrapping_shr(x as u32)); 0 };
                "<<= 1" |p, x, y| { write_volatile(p, read_volatile(p) << 1); 0 };
                ">>= constant" |p, x, y| { write_volatile(p, read_volatile(p) >> 3); 0 };
                "rotated left" |p, x, y| { write_volatile(p, read_volatile(p).rotate_left(x as u32)); 0 };
                "rotated right" |p, x, y| { write_volatile(p, read_volatile(p).rotate_right(x as u32)); 0 };
                "rotated by constant" |p, x, y| { write_volatile(p, read_volatile(p).rotate_left(3)); 0 };
                "a bit set" |p, x, y| { write_volatile(p, read_volatile(p) | 1 << (x as u32 & ($type::BITS - 1))); 0 };
                "a bit cleared" |p, x, y| { write_volatile(p, read_volatile(p) & !(1 << (x as u32 & ($type::BITS - 1)))); 0 };
                "a bit flipped" |p, x, y| { write_volatile(p, read_volatile(p) ^ 1 << (x as u32 & ($type::BITS - 1))); 0 };
                "a condition written" |p, x, y| { write_volatile(p, (x < y) as $type); 0 };
                "equality written" |p, x, y| { write_volatile(p, (x == y) as $type); 0 };
                "swapped bytes written" |p, x, y| { write_volatile(p, x.swap_bytes()); 0 };
                "counted up and compared" |p, x, y| { let next = read_volatile(p).wrapping_add(1); write_volatile(p, next); next == x };
                "the sum of two reads" |p, x, y| read_volatile(p).wrapping_add(read_volatile(p));
                "exchanged" |p, x, y| { let old = read_volatile(p); write_volatile(p, x); old };
            }
        }
    };
}

expressions!(u8, i8, u8);
expressions!(u16, i16, u16);
expressions!(u32, i32, u32);
expressions!(i8, i8, u8);
expressions!(i16, i16, u16);
expressions!(i32, i32, u32);
