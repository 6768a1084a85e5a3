//! The channels by which the holders of the VMMs' shares notify the monitor, as the system description
//! names them.

use sel4_microkit::{Channel, var};

/// The channel by which a VM's `pd-share` says that its VMM's share is there again.
pub fn renewed(vm: usize) -> Option<Channel> {
    let channels = [
        *var!(share: usize = 0),
        *var!(share_1: usize = 0),
        *var!(share_2: usize = 0),
        *var!(share_3: usize = 0),
        *var!(share_4: usize = 0),
        *var!(share_5: usize = 0),
        *var!(share_6: usize = 0),
        *var!(share_7: usize = 0),
    ];
    // 0 leads to the console.
    let channel = channels.get(vm).filter(|&&channel| channel != 0);
    channel.map(|&channel| Channel::new(channel))
}
