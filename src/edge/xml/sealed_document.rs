//! Where a document is sealed: all of it, or some elements in it, each in the place of which an `EncryptedData` stands.
//!
//! What was sealed is put back as text, because that is how it was taken out: namespaces that are declared around it
//! hold within it too. It has to be whole elements, so that nothing in it can end what it stands in.

use crate::edge::envelope::xml_enc::{EncryptedData, is_sealed};
use crate::edge::problem::{Code, Problem};
use crate::xml::{Element, is_content};
use std::ops::Range;
use zeroize::Zeroizing;

/// The most elements of a document that are opened: each costs a private-key operation.
const SEALED_ELEMENTS: usize = 2;

/// A document of which something is sealed.
pub(in crate::edge) struct SealedDocument<'a> {
    document: &'a [u8],
    places: Vec<Range<usize>>,
    /// The document as it came.
    root: Element,
    /// What is to be opened, in the order of the document.
    pub data: Vec<EncryptedData>,
}

impl<'a> SealedDocument<'a> {
    /// `None` where nothing is sealed.
    pub(in crate::edge) fn of(document: &'a [u8]) -> Result<Option<SealedDocument<'a>>, Problem> {
        let root = Element::read(document)?;
        let sealed: Vec<&Element> = root.all().into_iter().filter(|element| is_sealed(element)).collect();
        if sealed.is_empty() {
            return Ok(None);
        }
        let within = sealed.windows(2).any(|pair| pair[1].span.start < pair[0].span.end);
        if within || sealed.len() > SEALED_ELEMENTS {
            return Err(Code::PayloadUnreadable.into());
        }
        let data: Result<Vec<_>, _> = sealed.iter().map(|element| EncryptedData::parse(element)).collect();
        let data = data.map_err(|_unreadable| Code::PayloadUnreadable)?;
        let places = sealed.iter().map(|element| element.span.clone()).collect();
        Ok(Some(SealedDocument { document, places, root, data }))
    }

    /// Whether an element of this name came in clear.
    pub(in crate::edge) fn shows(&self, name: &str) -> bool {
        self.root.all().iter().any(|element| element.name == name)
    }

    /// The document with what was sealed, in order; `None` where that is no XML.
    pub(in crate::edge) fn with(&self, opened: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
        if let (true, [whole]) = (is_sealed(&self.root), opened) {
            return Some(whole.clone());
        }
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut at = 0;
        for (place, content) in self.places.iter().zip(opened) {
            if !is_content(content) {
                return None;
            }
            pieces.extend([self.document.get(at..place.start)?, content]);
            at = place.end;
        }
        pieces.push(self.document.get(at..)?);
        // Its size from the beginning: a vector that grows leaves copies behind.
        let mut document = Zeroizing::new(Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
        pieces.into_iter().for_each(|piece| document.extend_from_slice(piece));
        Some(document)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::edge::envelope::xml_enc::compose;

    fn sealed() -> String {
        compose("k", &[1; 256], &[2; 12], &[3; 40])
    }

    fn opened(document: &str, contents: &[&str]) -> Option<String> {
        let sealed = SealedDocument::of(document.as_bytes()).unwrap().unwrap();
        assert_eq!(sealed.data.len(), contents.len());
        let contents: Vec<_> = contents.iter().map(|text| Zeroizing::new(text.as_bytes().to_vec())).collect();
        sealed.with(&contents).map(|document| String::from_utf8(document.to_vec()).unwrap())
    }

    #[test]
    fn what_was_sealed_is_put_back_as_text() {
        let document = format!("\u{feff}<i:a xmlns:i='urn:i'><b/>{}<c/></i:a>", sealed());
        let expected = "\u{feff}<i:a xmlns:i='urn:i'><b/><i:card>1</i:card><c/></i:a>";
        assert_eq!(opened(&document, &["<i:card>1</i:card>"]).unwrap(), expected);
        assert_eq!(opened(&sealed(), &["<?xml version='1.0'?><a/>"]).unwrap(), "<?xml version='1.0'?><a/>");
        let two = format!("<a>{}{}</a>", sealed(), sealed());
        assert_eq!(opened(&two, &["<b/>", "<c/>"]).unwrap(), "<a><b/><c/></a>");
        assert!(SealedDocument::of(b"<a/>").unwrap().is_none());
        let sealed = SealedDocument::of(document.as_bytes()).unwrap().unwrap();
        assert!(sealed.shows("b") && !sealed.shows("card"));
    }

    #[test]
    fn nothing_sealed_ends_what_it_stands_in() {
        let document = format!("<a>{}</a>", sealed());
        for content in ["</a><a>", "<b>", "</b>", "<b></c>", "<!--", "<![CDATA[", "<?p?><b/>", "<!DOCTYPE a>", "\u{1}<"]
        {
            assert_eq!(opened(&document, &[content]), None, "{content}");
        }
    }

    #[test]
    fn few_elements_are_opened_and_none_within_another() {
        let refused = |document: &str| SealedDocument::of(document.as_bytes()).err().map(|problem| problem.code);
        assert_eq!(refused(&format!("<a>{}</a>", sealed().repeat(3))), Some(Code::PayloadUnreadable));
        let nested = sealed().replacen("</xenc:EncryptedData>", &format!("{}</xenc:EncryptedData>", sealed()), 1);
        assert_eq!(refused(&nested), Some(Code::PayloadUnreadable));
        assert_eq!(refused(&sealed().replace("aes256-gcm", "aes256-cbc")), Some(Code::PayloadUnreadable));
    }
}
