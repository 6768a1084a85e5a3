//! What holds of each device of the list, whichever are in it: its words are the language's.

use vdev_model::{AddressSpace, AnyVdev, Kind};
use vdevs::Vdev;
use vmconf::Vm;

const VM: &str = "system demo ram 0x40000000,2M load guest-app\n";

fn parsed(text: &str) -> Result<Vm, String> {
    vmconf::parse("vm.conf", &format!("{VM}{text}")).map_err(|errors| errors.to_string())
}

fn kinds() -> impl Iterator<Item = (Vdev, &'static Kind)> {
    Vdev::ALL.iter().map(|vdev| (*vdev, vdev.kind()))
}

#[test]
fn its_name_and_its_usual_place_are_taken() {
    for (vdev, kind) in kinds() {
        let text = format!(
            "vdev {} {} emit-logger emit-trace 12",
            kind.name, kind.example
        );
        let vm = parsed(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let [device] = &vm.devices[..] else {
            panic!("{vm:?}")
        };
        assert_eq!(device.vdev, vdev);
        assert_eq!(device.space, kind.spaces[0]);
        assert!(device.emit.logger && device.emit.trace.is_some());
        assert!(device.name.value.starts_with(kind.name));
    }
}

#[test]
fn its_name_with_a_slip_is_answered_with_it() {
    for (_, kind) in kinds() {
        let told = parsed(&format!("vdev {}x", kind.name)).unwrap_err();
        let meant = format!("did you mean `{}`?", kind.name);
        assert!(told.contains(&meant), "{told}");
    }
}

#[test]
fn it_is_where_its_kind_can_be_and_nowhere_else() {
    for (_, kind) in kinds() {
        for (word, space) in [("mem", AddressSpace::Memory), ("io", AddressSpace::Ports)] {
            let address = kind.align.max(0x8000);
            let vm = parsed(&format!("vdev {} loc {word}:{address:#x}", kind.name));
            match kind.spaces.contains(&space) {
                true => assert_eq!(vm.map(|vm| vm.devices[0].space), Ok(space)),
                false => {
                    let told = vm.unwrap_err();
                    assert!(told.contains(&format!("`vdev {}`", kind.name)), "{told}");
                    assert!(told.contains(kind.example), "{told}");
                }
            }
        }
    }
}

#[test]
fn its_own_options_are_its_own() {
    for (_, kind) in kinds() {
        for (place, option) in kind.options.iter().enumerate() {
            let (loc, example) = (kind.example, option.example);
            let text = format!("vdev {} {loc} {example}", kind.name);
            let vm = parsed(&text).unwrap_or_else(|errors| panic!("{errors}"));
            let value = vm.devices[0].options.get(place);
            assert!(value.is_some_and(|value| option.is.can_be(value)), "{text}");
            let twice = parsed(&format!("{text} {example}")).unwrap_err();
            let title = format!("`{}` is given twice", option.name);
            assert!(twice.contains(&title), "{twice}");
            let none = parsed(&format!("{text}\ncpu {example}")).unwrap_err();
            assert!(none.contains("belongs to a device"), "{none}");
            for (other, other_kind) in kinds() {
                let has_it = |option: &&str| other_kind.options.iter().any(|it| it.name == *option);
                // What QNX's serial ports have is passed over where only such a port can be.
                if Some(option.name).filter(has_it).is_some() || other.local().is_some() {
                    continue;
                }
                let loc = other_kind.example;
                let text = format!("vdev {} {loc} {example}", other_kind.name);
                let told = parsed(&text).unwrap_err();
                let title = format!("`{}` is an option of `vdev ", option.name);
                assert!(told.contains(&title), "{told}");
            }
        }
    }
}
