//! Instructions of the guest as bytes, and the numbers of the registers that they use (APM 3).

pub const RAX: usize = 0;
pub const RCX: usize = 1;
pub const RSP: usize = 4;
pub const RSI: usize = 6;
pub const RDI: usize = 7;

/// mov eax, [rdi]
pub const LOAD: [u8; 2] = [0x8b, 0x07];
/// mov [rdi], eax
pub const STORE: [u8; 2] = [0x89, 0x07];
/// add [rdi], eax
pub const ADD: [u8; 2] = [0x01, 0x07];
/// lock add [rdi], eax
pub const LOCK_ADD: [u8; 3] = [0xf0, 0x01, 0x07];
/// mov rax, [rdi]
pub const LOAD_64: [u8; 3] = [0x48, 0x8b, 0x07];
pub const CARRY: u64 = 1;
