//! What a guest starts with.

use crate::code::RDI;
use crate::fixtures::LOC;
use crate::machine::{RIP, System, config};
use guest_access::GuestPhysAddr;
use vm_components::{Machine, X86Machine};
use vm_config::Unsupported;

#[test]
fn a_guest_starts_on_tables_that_map_four_gib_to_themselves() {
    let system = System::new();
    assert!(system.platform.running);
    assert_eq!(system.platform.rip, RIP);
    let situation = system.platform.situation();
    for address in [0, 0x123_4567, RIP, LOC + 0xfff, 0xffff_ffff] {
        let words = system.platform.ram_words();
        let found = situation.paging.translate(address, words).unwrap();
        assert_eq!((found.address.0, found.writable), (address, true));
    }
    let words = system.platform.ram_words();
    assert_eq!(situation.paging.translate(1 << 32, words), None);
    let text = b"trace=0xfa000000 hz=1000000";
    let mut line = [0; 27];
    let mut platform = system.platform;
    assert!(platform.read_ram(GuestPhysAddr(platform.gprs[RDI]), &mut line));
    assert_eq!((&line, platform.gprs[6]), (text, 27));
}

#[test]
fn an_image_for_another_machine_is_refused() {
    const EM_AARCH64: u16 = 183;
    let system = System::<true>::init(config(Unsupported::default(), EM_AARCH64));
    assert!(!system.platform.running);
}
