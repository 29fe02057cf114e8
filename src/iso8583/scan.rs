//! A forward scan: type, bitmap and single elements of a message without reading the rest.
//!
//! What a router needs. It walks from element to element by their lengths alone and checks only the
//! content of the element asked for, so it says nothing about the message as a whole.

use std::sync::Arc;

use bytes::Bytes;

use super::bitmap::Bitmap;
use super::decode::{Broken, Place, take_bitmap, take_mti, take_third};
use super::error::{DecodeError, DecodeErrorKind, Fault};
use super::message::{Message, Span};
use super::mti::Mti;
use super::spec::{Spec, ThirdBitmap};
use super::value::Value;

/// A walk along a message.
pub struct Scan {
    /// The elements walked over so far.
    message: Message,
    /// All elements the bitmap names; the third block is known once the walk has come to it.
    named: Bitmap,
    at: usize,
    next: u8,
}

impl Scan {
    /// Reads header, type and bitmap.
    pub fn new(spec: &Arc<Spec>, bytes: Bytes) -> Result<Self, DecodeError> {
        let mut message = Message::empty(spec);
        let broken = |place| {
            let len = bytes.len();
            move |error: nom::Err<Fault>| {
                let fault = Fault::of(error);
                Broken::new(fault.kind, len - fault.left, place)
            }
        };
        let read = || {
            let mut rest = &bytes[..];
            let mut header = None;
            if bytes.len() > spec.max_bytes {
                return Err(Broken::new(DecodeErrorKind::TooLarge, 0, Place::Message));
            }
            if let Some(index) = spec.header_of(rest) {
                let element = &spec.at(index).element;
                let (after, content) = element.skip(rest).map_err(broken(Place::Header))?;
                header = Some(span(&bytes, after, content.bytes.len(), content.units));
                rest = after;
            }
            let (rest, mti) = take_mti(spec, rest).map_err(broken(Place::Mti))?;
            let (rest, bitmap) = take_bitmap(spec, rest).map_err(broken(Place::Bitmap))?;
            Ok((header, mti, bitmap, bytes.len() - rest.len()))
        };
        let (header, mti, named, at) = read().map_err(|broken| broken.into_error(spec))?;
        message.header = header;
        message.mti = mti;
        message.bytes = bytes;
        Ok(Self { message, named, at, next: 2 })
    }

    /// The message type.
    pub fn mti(&self) -> Mti {
        self.message.mti
    }

    /// The header in front of the message type.
    pub fn header(&self) -> Option<&[u8]> {
        self.message.header()
    }

    /// The elements the bitmap names. A third block that stands in the place of element 65 is part
    /// of it once the walk has passed that place.
    pub fn bitmap(&self) -> Bitmap {
        self.named
    }

    /// Walks as far as an element and gives its value, undivided; `None` where it is absent.
    pub fn element(&mut self, number: u8) -> Result<Option<Value<'_>>, DecodeError> {
        let spec = Arc::clone(&self.message.spec);
        self.walk_to(&spec, number).map_err(|broken| broken.into_error(&spec))?;
        let Some(value) = self.message.value(number) else {
            return Ok(None);
        };
        match value.check() {
            Ok(()) => Ok(Some(value)),
            Err(kind) => {
                let offset = self.message.span(number).map_or(self.at, |range| range.start);
                let mut broken = Broken::new(kind, offset, Place::Element(number));
                broken.index = spec.index(number);
                Err(broken.into_error(&spec))
            }
        }
    }

    fn walk_to(&mut self, spec: &Spec, wanted: u8) -> Result<(), Broken> {
        while self.next <= wanted {
            let number = self.next;
            if self.named.has(number) {
                self.step(spec, number)?;
            }
            match number.checked_add(1) {
                Some(next) => self.next = next,
                None => break,
            }
        }
        Ok(())
    }

    fn step(&mut self, spec: &Spec, number: u8) -> Result<(), Broken> {
        let place = Place::Element(number);
        let bytes = self.message.bytes.clone();
        let rest = &bytes[self.at..];
        let offset = |error| {
            let fault = Fault::of(error);
            (fault.kind, bytes.len() - fault.left)
        };
        if number == 65
            && let ThirdBitmap::Element65 { spare } = spec.third
        {
            let (rest, block) = take_third(spec, spare, rest).map_err(|error| {
                let (kind, offset) = offset(error);
                Broken::new(kind, offset, Place::Bitmap)
            })?;
            let [first, second, _] = self.named.blocks();
            self.named = Bitmap::from_blocks([first, second, block]);
            self.named.remove(65);
            self.at = bytes.len() - rest.len();
            return Ok(());
        }
        let Some(index) = spec.index(number) else {
            return Err(Broken::new(DecodeErrorKind::UndefinedElement, self.at, place));
        };
        let (rest, content) = spec.at(index).element.skip(rest).map_err(|error| {
            let (kind, offset) = offset(error);
            let mut broken = Broken::new(kind, offset, place);
            broken.index = Some(index);
            broken
        })?;
        let span = span(&bytes, rest, content.bytes.len(), content.units);
        self.message.spans.push(span);
        self.message.bitmap.insert(number);
        self.at = bytes.len() - rest.len();
        Ok(())
    }
}

fn span(bytes: &[u8], rest: &[u8], len: usize, units: u32) -> Span {
    Span { start: (bytes.len() - rest.len() - len) as u32, len: len as u32, units, ..Span::default() }
}
