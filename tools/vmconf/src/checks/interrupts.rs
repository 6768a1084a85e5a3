//! Which line each device's interrupt has: one of its own. Whether there is such a line, the VM's machine
//! decides, which is known with the images (`images/controller.rs`).

use vdev_model::{AnyVdev, OptionType};

use crate::diagnostics::Diagnostic;
use crate::options::DraftDevice;
use crate::source::Spanned;

/// The interrupt that a device's options say.
pub(super) fn interrupt(device: &DraftDevice) -> Option<&Spanned<u64>> {
    let options = device.vdev.kind().options.iter().zip(&device.own);
    let mut interrupts =
        options.filter(|(option, _)| matches!(option.is, OptionType::Interrupt { .. }));
    interrupts.find_map(|(_, once)| once.value.as_ref())
}

pub(super) fn interrupts(devices: &[DraftDevice], found: &mut Vec<Diagnostic>) {
    for (index, device) in devices.iter().enumerate() {
        let Some(line) = interrupt(device) else {
            continue;
        };
        let mut earlier = devices.iter().take(index).filter_map(interrupt);
        if let Some(other) = earlier.find(|other| other.value == line.value) {
            let title = format!("two devices have the interrupt {}", line.value);
            found.push(
                Diagnostic::error(line.span, title)
                    .also(other.span, "the other")
                    .help("each needs one of its own"),
            );
        }
    }
}
