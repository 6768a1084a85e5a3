//! Calls to the hypervisor, by HVC.
//!
//! SMCCC 1.4 (DEN0028).

/// Makes the call `function` with one argument.
pub fn hypervisor(function: u32, argument: u64) {
    let mut arguments = [0; 17];
    arguments[0] = argument;
    smccc::hvc64(function, arguments);
}
