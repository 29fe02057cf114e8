//! An XML document (XML 1.0, Namespaces in XML 1.0) as a tree of elements, within bounds.
//!
//! There is no document type, no entity but the five of the standard and character references, no processing
//! instruction, and no encoding but UTF-8: what would need a resolver, a network or an unknown amount of memory is
//! refused by its kind. Comments are passed over. What surprises: an element knows where it stood in the text, because
//! what is sealed or signed is a piece of text, not a tree.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// Elements within one another.
const DEPTH_LIMIT: usize = 16;
/// Elements of a document.
const ELEMENT_LIMIT: usize = 4096;
/// Attributes of an element, declarations of namespaces among them.
const ATTRIBUTE_LIMIT: usize = 16;
/// The byte order mark.
const MARK: char = '\u{feff}';
/// Attributes that say where a schema lies are for editors; nothing is ever fetched from there.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An element with all that is in it. Its text prints masked and is wiped.
pub struct Element {
    /// The namespace's name; empty for none.
    pub namespace: String,
    /// The local name.
    pub name: String,
    /// Attributes without a prefix, in order.
    pub attributes: Vec<(String, String)>,
    /// The elements in it, in order.
    pub children: Vec<Element>,
    /// All text directly in it.
    pub text: Zeroizing<String>,
    /// From its first byte to the one after its last.
    pub span: Range<usize>,
}

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not XML, not one document, or not in UTF-8.
    Malformed,
    /// XML with something in it that is not taken here, or beyond the bounds.
    Forbidden,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element").field("name", &self.name).field("children", &self.children).finish_non_exhaustive()
    }
}

impl Element {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Element, Fault> {
        let text = std::str::from_utf8(document).map_err(|_| Fault::Malformed)?;
        // A byte order mark stands before the document (appendix F), once: a second one the reader below would pass over
        // without counting it, and every place in the document would be off.
        let text = text.strip_prefix(MARK).unwrap_or(text);
        if text.starts_with(MARK) || !text.chars().all(is_xml) {
            return Err(Fault::Malformed);
        }
        Reading::new(text, document.len() - text.len()).document()
    }

    /// Whether it is this element of this namespace.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// The one child of this name; `None` where there is none or more than one.
    pub fn only(&self, namespace: &str, name: &str) -> Option<&Element> {
        let mut found = self.children.iter().filter(|child| child.is(namespace, name));
        found.next().filter(|_| found.next().is_none())
    }

    /// The value of an attribute without a prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Itself and all elements in it, in the order of the document.
    pub fn all(&self) -> Vec<&Element> {
        let mut found = vec![self];
        found.extend(self.children.iter().flat_map(Element::all));
        found
    }

    /// Whether there is text in it other than white space.
    pub fn has_text(&self) -> bool {
        !self.text.trim_matches(is_white).is_empty()
    }
}

/// White space of XML (section 2.3).
pub fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Characters of XML (section 2.2).
pub fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether a piece of text is whole elements, whatever their prefixes mean: it ends nothing that it did not begin.
pub fn is_content(piece: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(piece) else { return false };
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    let mut depth = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) if depth > 0 => depth -= 1,
            Ok(Event::Eof) => return depth == 0,
            Ok(Event::Empty(_) | Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) | Event::Comment(_)) => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// A document on its way into a tree.
struct Reading<'a> {
    reader: NsReader<&'a [u8]>,
    /// Where the text of the reader begins in what was given.
    offset: usize,
    /// Elements that have begun and not ended, the root first.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str, offset: usize) -> Reading<'a> {
        let mut reader = NsReader::from_str(text);
        let config = reader.config_mut();
        config.enable_all_checks(true);
        config.expand_empty_elements = true;
        Reading { reader, offset, open: Vec::new(), root: None, elements: 0 }
    }

    fn document(mut self) -> Result<Element, Fault> {
        let mut is_first = true;
        loop {
            let before = self.position();
            let event = self.reader.read_event().map_err(|_| Fault::Malformed)?;
            match event {
                Event::Start(start) => self.begin(&start, before)?,
                Event::End(_) => self.end()?,
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::Comment(_) => {}
                Event::Decl(declaration) if is_first => {
                    let encoding = declaration.encoding().transpose().map_err(|_| Fault::Malformed)?;
                    if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                        return Err(Fault::Forbidden);
                    }
                }
                Event::Eof => break,
                Event::DocType(_) | Event::PI(_) => return Err(Fault::Forbidden),
                Event::Decl(_) | Event::Empty(_) => return Err(Fault::Malformed),
            }
            is_first = false;
        }
        self.root.filter(|_| self.open.is_empty()).ok_or(Fault::Malformed)
    }

    fn position(&self) -> usize {
        self.offset.saturating_add(usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX))
    }

    fn begin(&mut self, start: &BytesStart<'_>, at: usize) -> Result<(), Fault> {
        self.elements += 1;
        if self.open.len() == DEPTH_LIMIT || self.elements > ELEMENT_LIMIT {
            return Err(Fault::Forbidden);
        }
        if self.root.is_some() {
            return Err(Fault::Malformed);
        }
        let resolver = self.reader.resolver();
        let (namespace, name) = resolver.resolve_element(start.name());
        let (namespace, name) = (namespace_name(&namespace)?, name.as_ref().to_owned());
        let attributes = attributes(start, resolver)?;
        let (children, text) = (Vec::new(), Zeroizing::new(String::new()));
        self.open.push(Element { namespace, name, attributes, children, text, span: at..at });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let after = self.position();
        let mut element = self.open.pop().ok_or(Fault::Malformed)?;
        element.span.end = after;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        match self.open.last_mut() {
            Some(element) => append(&mut element.text, text),
            None if text.chars().all(is_white) => {}
            None => return Err(Fault::Malformed),
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Fault> {
        let character = match reference.resolve_char_ref().map_err(|_| Fault::Malformed)? {
            Some(character) if is_xml(character) => character,
            Some(_) => return Err(Fault::Malformed),
            None => match &*reference.xml10_content() {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "apos" => '\'',
                "quot" => '"',
                _ => return Err(Fault::Forbidden),
            },
        };
        let element = self.open.last_mut().ok_or(Fault::Malformed)?;
        append(&mut element.text, character.encode_utf8(&mut [0; 4]));
        Ok(())
    }
}

/// Adds to a text that is to be wiped: where it grows, the smaller one is wiped too. It grows by half at least, because
/// a text may come in as many pieces as it has characters.
fn append(text: &mut Zeroizing<String>, more: &str) {
    let length = text.len() + more.len();
    if length > text.capacity() {
        let mut longer = Zeroizing::new(String::with_capacity(length + length / 2));
        longer.push_str(text);
        *text = longer;
    }
    text.push_str(more);
}

fn attributes(start: &BytesStart<'_>, resolver: &NamespaceResolver) -> Result<Vec<(String, String)>, Fault> {
    let mut attributes = Vec::new();
    for (place, attribute) in start.attributes().enumerate() {
        let attribute = attribute.map_err(|_| Fault::Malformed)?;
        if place == ATTRIBUTE_LIMIT {
            return Err(Fault::Forbidden);
        }
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|_| Fault::Forbidden)?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, name) = resolver.resolve_attribute(attribute.key);
        match (namespace_name(&namespace)?.as_str(), name.as_ref()) {
            ("", name) => attributes.push((name.to_owned(), value.into_owned())),
            (SCHEMA_INSTANCE, "schemaLocation" | "noNamespaceSchemaLocation") => {}
            _ => return Err(Fault::Forbidden),
        }
    }
    Ok(attributes)
}

fn namespace_name(namespace: &ResolveResult<'_>) -> Result<String, Fault> {
    match namespace {
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Bound(name) => Ok(name.0.to_owned()),
        ResolveResult::Unknown(_) => Err(Fault::Malformed),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fault(document: &str) -> Fault {
        Element::parse(document.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_document_becomes_a_tree() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns='urn:x' xmlns:y='urn:y' k='&lt;1'>\n <!-- - -->\
                    <y:b>1 &amp; <![CDATA[<2>]]>&#x33;</y:b><b/></a>\n";
        let root = Element::parse(text.as_bytes()).unwrap();
        assert!(root.is("urn:x", "a") && !root.has_text());
        assert_eq!(root.attribute("k"), Some("<1"));
        assert_eq!(root.only("urn:y", "b").unwrap().text.as_str(), "1 & <2>3");
        assert_eq!(&text[root.children[0].span.clone()], "<y:b>1 &amp; <![CDATA[<2>]]>&#x33;</y:b>");
        assert_eq!(&text[root.children[1].span.clone()], "<b/>");
        assert_eq!(root.all().len(), 3);
        assert!(Element::parse("\u{feff}<a/>".as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_one_document_is_malformed() {
        for text in [
            "",
            " ",
            "a",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>b",
            "b<a/>",
            "<a b='1' b='2'/>",
            "<a b=1/>",
            "<x:a/>",
            "<a x:b='1'/>",
            "<a>&#0;</a>",
            "<a>&#xD800;</a>",
            "<a>\u{1}</a>",
            "<a>&</a>",
            " <?xml version='1.0'?><a/>",
            "<a/>&amp;",
            "\u{feff}\u{feff}<a/>",
        ] {
            assert_eq!(fault(text), Fault::Malformed, "{text}");
        }
        assert_eq!(Element::parse(b"<a>\xe9</a>").unwrap_err(), Fault::Malformed);
    }

    #[test]
    fn what_would_reach_beyond_the_document_is_forbidden() {
        let laughs = "<!DOCTYPE a [<!ENTITY l 'l'><!ENTITY m '&l;&l;&l;&l;'>]><a>&m;</a>";
        let external = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>";
        let parameter = "<!DOCTYPE a SYSTEM 'http://localhost/a.dtd'><a/>";
        let (undeclared, in_attribute) = ("<a>&nbsp;</a>", "<a b='&x;'/>");
        let instruction = "<?xml-stylesheet href='a'?><a/>";
        let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><a/>";
        for text in [laughs, external, parameter, undeclared, in_attribute, instruction, latin, "<a xml:base='b'/>"] {
            assert_eq!(fault(text), Fault::Forbidden, "{text}");
        }
    }

    #[test]
    fn there_are_bounds() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(Element::parse(nested(DEPTH_LIMIT).as_bytes()).is_ok());
        assert_eq!(fault(&nested(DEPTH_LIMIT + 1)), Fault::Forbidden);
        assert_eq!(fault(&"<a>".repeat(20_000)), Fault::Forbidden);
        assert_eq!(fault(&format!("<a>{}</a>", "<b/>".repeat(ELEMENT_LIMIT))), Fault::Forbidden);
        let attributes: String = (0..=ATTRIBUTE_LIMIT).map(|n| format!(" a{n}='1'")).collect();
        assert_eq!(fault(&format!("<a{attributes}/>")), Fault::Forbidden);
    }
}
