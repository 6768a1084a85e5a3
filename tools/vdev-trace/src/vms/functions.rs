//! The functions of a guest: from an address to who made the access there.
//!
//! Used by `names`, from whatever file knows them. Invariant: each address is looked up once, as far
//! as a bounded memory goes, since a trace has few of them and each many times.

use crate::vms::elf::ElfFunctions;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Addresses whose functions are remembered.
const MAX_REMEMBERED: usize = 1 << 16;

/// The functions of a guest.
pub(super) struct Functions {
    elf: ElfFunctions,
    known: RefCell<HashMap<u64, Option<Rc<str>>>>,
}

impl Functions {
    /// Those of the ELF file with these bytes.
    pub fn of_elf(elf: &[u8]) -> Result<Self, String> {
        Ok(Self {
            elf: ElfFunctions::read(elf)?,
            known: RefCell::default(),
        })
    }

    /// Whether any address has a name.
    pub fn has_names(&self) -> bool {
        self.elf.has_names()
    }

    /// The function at an address.
    pub fn at(&self, address: u64) -> Option<Rc<str>> {
        if let Some(known) = self.known.borrow().get(&address) {
            return known.clone();
        }
        let found = self.elf.at(address).map(Rc::from);
        let mut known = self.known.borrow_mut();
        if known.len() < MAX_REMEMBERED {
            known.insert(address, found.clone());
        }
        found
    }
}
