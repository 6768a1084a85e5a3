//! Where the parts of this program begin and end, which only the linker knows.
//!
//! Read by each architecture's `paging`, which gives the parts their permissions. Invariant:
//! the linker scripts of both architectures define these symbols, in this order.

unsafe extern "C" {
    static __text_start: u8;
    static __rodata_start: u8;
    static __data_start: u8;
    static __stack_guard: u8;
    static __stack_bottom: u8;
    static __image_end: u8;
}

macro_rules! address {
    ($($name:ident = $symbol:ident),*) => {
        $(pub fn $name() -> usize { (&raw const $symbol).addr() })*
    };
}

address!(
    text_start = __text_start,
    rodata_start = __rodata_start,
    data_start = __data_start,
    stack_guard = __stack_guard,
    stack_bottom = __stack_bottom,
    image_end = __image_end
);
