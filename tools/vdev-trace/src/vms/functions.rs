//! The functions of a guest: from an address to who made the access there.
//!
//! Used by `names`, from whatever file knows them. Invariant: each address is looked up once, as far
//! as a bounded memory goes, since a trace has few of them and each many times.

use crate::vms::elf::{self, ElfFunctions};
use crate::vms::symbol_list::{Refused, SymbolList};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// Addresses whose functions are remembered.
const MAX_REMEMBERED: usize = 1 << 16;

/// The functions of a guest.
pub(super) struct Functions {
    source: Source,
    known: RefCell<HashMap<u64, Option<Rc<str>>>>,
}

/// What names them.
enum Source {
    Elf(ElfFunctions),
    List(SymbolList),
}

impl Functions {
    fn of(source: Source) -> Self {
        Self {
            source,
            known: RefCell::default(),
        }
    }

    /// Those of the ELF file with these bytes.
    pub fn of_elf(elf: &[u8]) -> Result<Self, String> {
        Ok(Self::of(Source::Elf(ElfFunctions::read(elf)?)))
    }

    /// Those of a kernel's list of symbols.
    pub fn of_list(text: &[u8]) -> Result<Self, Refused> {
        Ok(Self::of(Source::List(SymbolList::read(text)?)))
    }

    /// Whether any address has a name.
    pub fn has_names(&self) -> bool {
        match &self.source {
            Source::Elf(elf) => elf.has_names(),
            // Without any it is refused.
            Source::List(_) => true,
        }
    }

    /// The function at an address.
    pub fn at(&self, address: u64) -> Option<Rc<str>> {
        if let Some(known) = self.known.borrow().get(&address) {
            return known.clone();
        }
        let found = match &self.source {
            Source::Elf(elf) => elf.at(address),
            Source::List(list) => in_list(list, address),
        };
        let found = found.map(Rc::from);
        let mut known = self.known.borrow_mut();
        if known.len() < MAX_REMEMBERED {
            known.insert(address, found.clone());
        }
        found
    }

    /// Why addresses that were looked up until now have no function in a list of symbols, where more is to be
    /// said than that they have none. Nothing tells whether a list is the one of the kernel that ran.
    pub fn missing(&self) -> Option<Missing> {
        let Source::List(list) = &self.source else {
            return None;
        };
        let known = self.known.borrow();
        let looked_up = known.len();
        let is_missing = |found: &Option<Rc<str>>| found.is_none();
        let of_kernel = known
            .iter()
            .filter(|(address, _)| list.is_in_kernel_half(**address));
        let (of_kernel, missing) = of_kernel.fold((0, 0), |(all, missing), (_, found)| {
            (all + 1, missing + usize::from(is_missing(found)))
        });
        let is_any_named = !known.values().all(is_missing);
        match (is_any_named, of_kernel, missing) {
            _ if looked_up == 0 => None,
            (false, 0, _) => Some(Missing::NoneOfKernel { looked_up }),
            (false, of_kernel, _) => Some(Missing::All { of_kernel }),
            (true, of_kernel, missing @ 1..) if !list.has_modules() => {
                Some(Missing::Some { missing, of_kernel })
            }
            _ => None,
        }
    }
}

/// The function at an address of a list, as it may be shown.
fn in_list(list: &SymbolList, address: u64) -> Option<String> {
    let (name, module) = list.at(address)?;
    let name = elf::shown(elf::demangled(name), None);
    Some(match module {
        Some(module) => format!("{name} [{}]", elf::shown(module.to_owned(), None)),
        None => name,
    })
}

/// Why addresses have no function in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// None of those that were looked up is where a kernel is.
    NoneOfKernel { looked_up: usize },
    /// None of those that are where a kernel is has one.
    All { of_kernel: usize },
    /// Some of those have none.
    Some { missing: usize, of_kernel: usize },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneOfKernel { looked_up } => write!(
                f,
                "of {looked_up} addresses none is its kernel's; those of processes, and of a kernel that has \
                 not yet turned on its MMU, are in no list of symbols"
            ),
            Self::All { of_kernel } => write!(
                f,
                "of {of_kernel} addresses in its kernel none is in the list. It is another kernel's, or the kernel \
                 was moved when it booted (KASLR): boot it with `nokaslr`, or take its own /proc/kallsyms"
            ),
            Self::Some { missing, of_kernel } => write!(
                f,
                "of {of_kernel} addresses in its kernel {missing} are not in the list. Functions of modules are in \
                 /proc/kallsyms alone"
            ),
        }
    }
}
