//! What the documents send a reader to is there.

use regex::Regex;
use std::path::Path;

#[test]
fn every_path_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let pages = docs.chain([root.join("README.md")]);
    // In backquotes, or as a link's end; in a folder of the project.
    let folders = "boards|crates|docs|fuzz|guest|pd-[a-z]+|sel4|tools|unikernel|vdevs";
    let path = Regex::new(&format!(r"[`(]((?:{folders})/[\w./-]*[\w-])[`)#]")).unwrap();
    let mut named = 0;
    for page in pages.filter(|page| page.extension().is_some_and(|it| it == "md")) {
        let text = std::fs::read_to_string(&page).unwrap();
        for found in path.captures_iter(&text) {
            let is_there = root.join(&found[1]).exists();
            assert!(is_there, "{}: {}", page.display(), &found[1]);
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
}
