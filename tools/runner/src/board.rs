//! The Microkit's boards that can be run here, and the emulator that has each.
//!
//! Used by `system` for the machine and by the `runner` program for the user's choice.
//! Microkit manual, "Board Support Packages". A machine with VT-x is QEMU's where the host's
//! KVM can nest it, and otherwise Bochs's, whose clock counts instructions: so whoever wants
//! figures or equal runs takes Bochs everywhere.

use std::fs::OpenOptions;

/// The board with VT-x.
const VT_X: &str = "x86_64_generic_vtx";

/// A board of the Microkit and what emulates it.
pub struct BoardModel {
    /// The Microkit's name for the board.
    name: &'static str,
    pub(crate) emulator: Emulator,
}

/// What emulates a board, with what is to be told of it.
pub(crate) enum Emulator {
    /// QEMU for aarch64: its model of the board, and where the board's loader wants the image.
    QemuAarch64 {
        machine: &'static [&'static str],
        image_at: &'static str,
    },
    /// One that has VT-x.
    VtX(VtX),
}

/// An emulator of a machine with VT-x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VtX {
    /// QEMU, whose guest uses the host's VT-x.
    Kvm,
    /// Bochs, which emulates VT-x.
    Bochs,
}

static BOARDS: [BoardModel; 3] = [
    BoardModel {
        name: "qemu_virt_aarch64",
        emulator: Emulator::QemuAarch64 {
            machine: &[
                "-machine",
                "virt,virtualization=on",
                "-cpu",
                "cortex-a53",
                "-m",
                "2G",
            ],
            image_at: "0x70000000",
        },
    },
    BoardModel {
        name: "zcu102",
        emulator: Emulator::QemuAarch64 {
            machine: &["-machine", "xlnx-zcu102,virtualization=on", "-m", "4G"],
            image_at: "0x40000000",
        },
    },
    BoardModel {
        name: VT_X,
        emulator: Emulator::VtX(VtX::Bochs),
    },
];

/// The board with VT-x where the host has it.
static ON_KVM: BoardModel = BoardModel {
    name: VT_X,
    emulator: Emulator::VtX(VtX::Kvm),
};

impl BoardModel {
    /// The model of the board with this name; of the one with VT-x the model whose runs are
    /// equal.
    ///
    /// # Errors
    ///
    /// That there is none, in a sentence.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        let mut boards = BOARDS.iter();
        boards.find(|board| board.name == name).ok_or_else(|| {
            let names: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
            let names = names.join(" and ");
            format!("no model of the board {name} is known here, only of {names}; `make image` builds what it boots")
        })
    }

    /// The model of the board with this name in the emulator that was asked for, or in the
    /// fastest that this host has.
    ///
    /// # Errors
    ///
    /// That there is none, in a sentence.
    pub fn under(name: &str, asked: Option<VtX>) -> Result<&'static Self, String> {
        let model = Self::named(name)?;
        match (&model.emulator, asked) {
            (Emulator::VtX(_), asked) => Ok(match asked.unwrap_or_else(VtX::of_this_host) {
                VtX::Kvm => &ON_KVM,
                VtX::Bochs => model,
            }),
            (Emulator::QemuAarch64 { .. }, None) => Ok(model),
            (Emulator::QemuAarch64 { .. }, Some(_)) => {
                Err(format!("there is a choice of emulators for {VT_X} only"))
            }
        }
    }
}

impl VtX {
    /// KVM, if this user can use it and it nests VT-x.
    fn of_this_host() -> Self {
        let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm");
        let nested = std::fs::read_to_string("/sys/module/kvm_intel/parameters/nested");
        Self::of_a_host(kvm.is_ok(), nested.as_deref().unwrap_or_default())
    }

    /// `nested` is the parameter of the module `kvm_intel`, `Y` or `1` if it is set.
    fn of_a_host(kvm: bool, nested: &str) -> Self {
        match kvm && matches!(nested.trim(), "Y" | "1") {
            true => Self::Kvm,
            false => Self::Bochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_is_taken_where_it_can_be_used_and_nests() {
        // Linux prints a boolean parameter as Y or N, an integer one as 1 or 0.
        assert_eq!(VtX::of_a_host(true, "Y\n"), VtX::Kvm);
        assert_eq!(VtX::of_a_host(true, "1\n"), VtX::Kvm);
        for (kvm, nested) in [(true, "N\n"), (true, "0\n"), (true, ""), (false, "Y\n")] {
            assert_eq!(VtX::of_a_host(kvm, nested), VtX::Bochs, "{kvm} {nested:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_taken_whatever_the_host_has() {
        let emulator = |asked| match &BoardModel::under(VT_X, Some(asked)).unwrap().emulator {
            Emulator::VtX(emulator) => *emulator,
            Emulator::QemuAarch64 { .. } => panic!("that has no VT-x"),
        };
        assert_eq!(emulator(VtX::Kvm), VtX::Kvm);
        assert_eq!(emulator(VtX::Bochs), VtX::Bochs);
    }

    #[test]
    fn whoever_names_only_the_board_gets_equal_runs() {
        let model = BoardModel::named(VT_X).unwrap();
        assert!(matches!(model.emulator, Emulator::VtX(VtX::Bochs)));
    }

    #[test]
    fn a_board_with_one_emulator_leaves_no_choice() {
        assert!(BoardModel::under("zcu102", None).is_ok());
        let error = BoardModel::under("zcu102", Some(VtX::Bochs)).err().unwrap();
        assert!(error.contains(VT_X), "{error}");
    }
}
