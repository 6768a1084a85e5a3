//! Elements with attributes, one a line.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, Event};
use std::fmt::Display;

/// An attribute: its name and its value.
pub(crate) type Attribute<'a> = (&'a str, &'a dyn Display);

/// A document that is being written.
pub(crate) struct Xml {
    writer: Writer<Vec<u8>>,
    open: Vec<&'static str>,
}

impl Xml {
    pub(crate) fn new() -> Self {
        let mut xml = Self {
            writer: Writer::new_with_indent(Vec::new(), b' ', 4),
            open: Vec::new(),
        };
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        xml
    }

    /// An element without any in it.
    pub(crate) fn leaf(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.event(Event::Empty(element(tag, attributes)));
    }

    /// Begins an element, which the matching [`Self::close`] ends.
    pub(crate) fn open(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.event(Event::Start(element(tag, attributes)));
        self.open.push(tag);
    }

    /// Ends the element that was begun last.
    pub(crate) fn close(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.event(Event::End(BytesEnd::new(tag)));
        }
    }

    /// The whole document.
    pub(crate) fn text(self) -> String {
        let mut text = String::from_utf8_lossy(&self.writer.into_inner()).into_owned();
        text.push('\n');
        text
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer
            .write_event(event)
            .expect("memory takes all that is written");
    }
}

fn element(tag: &'static str, attributes: &[Attribute<'_>]) -> BytesStart<'static> {
    let mut element = BytesStart::new(tag);
    for (name, value) in attributes {
        element.push_attribute((*name, value.to_string().as_str()));
    }
    element
}
