//! A message read under a profile: what it asks, taken out of its elements once, at the border.
//!
//! Everything that a host may lay out in its own way is asked of the profile; behind this stands a
//! [`Request`] and no element. What surprises: whether a message of class 2 is a sale or the completion
//! of an authorisation isn't told by its type but by a condition, a processing code of its own, or the
//! original that it names; and by that alone one of class 1 is an increment.

use crate::iso8583::{Message, Mti};
use crate::payment::{Currency, Cvc, Expiry, Pan};
use crate::security::PinBlock;

use zeroize::Zeroizing;

use super::super::entry::Kind;
use super::super::request::{Asked, Network, OriginalKey, Request, SentPin};
use super::{OriginalLayout, OriginalPart, Profile, ReversalNames};

impl Profile {
    /// Takes out of a message what it asks.
    pub fn understand(&self, message: &Message) -> Asked {
        let mti = message.mti();
        if mti.version() != self.version {
            return Asked::Unsupported;
        }
        match (mti.class(), mti.function()) {
            (8, 0 | 2) => Asked::Network(self.network(message)),
            (1 | 2 | 4, 0 | 2) => match self.request(message, mti) {
                Ok(request) => Asked::Financial(Box::new(request)),
                Err(refusal) => refusal,
            },
            _ => Asked::Unsupported,
        }
    }

    /// Whether it is about an echo, whichever side asked.
    pub(in super::super) fn is_echo(&self, message: &Message) -> bool {
        message.mti().class() == 8 && self.network(message) == Network::Echo
    }

    fn network(&self, message: &Message) -> Network {
        let code = self.elements.network.text(message);
        match &code {
            code if self.network.sign_on.contains(code) => Network::SignOn,
            code if self.network.sign_off.contains(code) => Network::SignOff,
            code if self.network.echo.contains(code) => Network::Echo,
            code if self.network.key_change.contains(code) => Network::KeyChange,
            code if self.network.cutover.contains(code) => Network::Cutover,
            _ => Network::Other,
        }
    }

    fn request(&self, message: &Message, mti: Mti) -> Result<Request, Asked> {
        let elements = &self.elements;
        if text(message, elements.stan).is_empty() {
            return Err(Asked::Incomplete("stan"));
        }
        let pan = self.pan(message);
        // A reversal may leave the card out and name its original alone.
        if pan.is_none() && mti.class() != 4 {
            return Err(Asked::Incomplete("card"));
        }
        let kind = self.kind(message, mti).ok_or(Asked::Unsupported)?;
        let (amount, replacement) = self.amounts(message);
        let currency = self.currency(message);
        let identity = self.identity(message, mti);
        if currency.is_none() && amount != 0 {
            return Err(Asked::Incomplete("currency"));
        }
        Ok(Request {
            mti,
            kind,
            key: self.key(message, mti),
            rrn: text(message, elements.rrn),
            terminal: text(message, elements.terminal),
            merchant: text(message, elements.merchant),
            pan,
            expiry: Expiry::from_yymm(&text(message, elements.expiry)).ok(),
            cvc: self.cvc(message),
            pin: self.pin(message),
            amount,
            currency,
            original: self.original(message, &identity),
            identity,
            approval: Some(text(message, elements.approval)).filter(|code| !code.is_empty()),
            replacement,
        })
    }

    fn pan(&self, message: &Message) -> Option<Pan> {
        let card = text(message, self.elements.card);
        if !card.is_empty() {
            return Pan::parse(&card).ok();
        }
        let track = message.text(self.elements.track2)?;
        let end = track.find(['D', '=', 'd']).unwrap_or(track.len());
        Pan::parse(track.get(..end)?).ok()
    }

    fn kind(&self, message: &Message, mti: Mti) -> Option<Kind> {
        if mti.class() == 4 {
            return Some(Kind::Reversal);
        }
        let processing = self.elements.processing.text(message);
        let asked = processing.get(..2)?.to_owned();
        let types = &self.types;
        let (financial, among) = (mti.class() == 2, |list: &[String]| list.contains(&asked));
        match () {
            _ if among(&types.balance) => Some(Kind::Balance),
            _ if among(&types.verification) => Some(Kind::Verification),
            _ if among(&types.void) => Some(Kind::Void),
            _ if among(&types.refund) && financial => Some(Kind::Refund),
            _ if among(&types.capture) && financial => Some(Kind::Capture),
            _ if among(&types.purchase) && financial && self.completes(message) => Some(Kind::Capture),
            _ if among(&types.purchase) && financial => Some(Kind::Sale),
            _ if among(&types.purchase) && self.amount(message) == Some(0) => Some(Kind::Verification),
            _ if among(&types.purchase) && message.has(self.elements.original) => Some(Kind::Increment),
            _ if among(&types.purchase) => Some(Kind::Authorisation),
            _ => None,
        }
    }

    fn completes(&self, message: &Message) -> bool {
        let condition = text(message, self.elements.condition);
        message.has(self.elements.original) || self.types.completion_conditions.contains(&condition)
    }

    /// The message among all others: class and function (the repeat aside) and the listed elements.
    fn key(&self, message: &Message, mti: Mti) -> String {
        let mut key = mti.without_repeat().to_string();
        for element in &self.duplicates.elements {
            key.push('|');
            key.push_str(&text(message, *element));
        }
        key
    }

    /// How others name this message. Where originals are named without their type, a reversal still has
    /// one, since it may bear the STAN of what it takes back.
    fn identity(&self, message: &Message, mti: Mti) -> OriginalKey {
        let is_typed = mti.class() == 4 || self.original.order.contains(&OriginalPart::Mti);
        OriginalKey {
            mti: if is_typed { mti.without_repeat().to_string() } else { String::new() },
            stan: text(message, self.elements.stan),
            transmission: self.original.time_element.text(message),
            acquirer: without_zeros(&text(message, self.elements.acquirer)),
        }
    }

    fn original(&self, message: &Message, identity: &OriginalKey) -> Option<OriginalKey> {
        if message.mti().class() == 4 && self.original.reversals == ReversalNames::Repeated {
            return Some(OriginalKey { mti: String::new(), ..identity.clone() });
        }
        self.named(&text(message, self.elements.original), identity)
    }

    /// The original that an element names, by the parts of the layout.
    fn named(&self, data: &str, identity: &OriginalKey) -> Option<OriginalKey> {
        let layout = &self.original;
        // Whoever doesn't say the acquirer means his own.
        let says_acquirer = layout.order.contains(&OriginalPart::Acquirer);
        let acquirer = if says_acquirer { String::new() } else { identity.acquirer.clone() };
        let mut named = OriginalKey { acquirer, ..OriginalKey::default() };
        let mut rest = data;
        for part in &layout.order {
            let width = layout.width(*part, &mut rest)?;
            let (text, after) = rest.split_at_checked(width)?;
            rest = after;
            match part {
                OriginalPart::Mti => named.mti = text.parse::<Mti>().ok()?.without_repeat().to_string(),
                OriginalPart::Stan => named.stan = text.to_owned(),
                OriginalPart::Time => named.transmission = text.to_owned(),
                OriginalPart::Acquirer => named.acquirer = without_zeros(text),
                // It is not compared, and may be left out.
                OriginalPart::Forwarder => {}
            }
        }
        Some(named)
    }

    /// The amount of the message, or of the original it takes back, and how much of that is to stand.
    fn amounts(&self, message: &Message) -> (i64, i64) {
        let amount = self.amount(message).unwrap_or(0);
        let partly = self.partial.as_ref().filter(|partial| partial.codes.contains(&text(message, partial.element)));
        if let Some(partial) = partly.filter(|_| message.mti().class() == 4) {
            return (self.first_amount(&text(message, partial.original_amount)), amount);
        }
        (amount, self.first_amount(&text(message, self.elements.replacement)))
    }

    /// The amount in minor units, behind whatever a host has before it.
    fn amount(&self, message: &Message) -> Option<i64> {
        text(message, self.elements.amount).get(self.elements.amount_prefix..)?.trim().parse().ok()
    }

    /// The currency: of an element of its own, or the first three digits before the amount.
    fn currency(&self, message: &Message) -> Option<Currency> {
        match self.elements.amount_prefix {
            0 => currency(&text(message, self.elements.currency)),
            _ => currency(text(message, self.elements.amount).get(..3)?),
        }
    }

    /// The first amount of an element of several; 0 where there is none.
    fn first_amount(&self, amounts: &str) -> i64 {
        let from = self.elements.amount_prefix;
        let amount = amounts.get(from..from.saturating_add(12));
        amount.and_then(|amount| amount.parse::<u64>().ok()).and_then(|amount| i64::try_from(amount).ok()).unwrap_or(0)
    }

    fn pin(&self, message: &Message) -> Option<SentPin> {
        let element = self.pin.element;
        let bytes = match message.binary(element) {
            Some(bytes) => Zeroizing::new(bytes.into_owned()),
            // A dialect may have it as hexadecimal digits.
            None => {
                let text = Zeroizing::new(message.text(element)?.into_owned());
                Zeroizing::new(
                    data_encoding::HEXUPPER_PERMISSIVE.decode(text.trim_end().as_bytes()).unwrap_or_default(),
                )
            }
        };
        Some(PinBlock::new(&bytes).map_or(SentPin::Malformed, SentPin::Block))
    }

    fn cvc(&self, message: &Message) -> Option<Cvc> {
        let place = self.cvc.as_ref()?;
        let data = message.text(place.element)?;
        let mut rest = data.as_ref();
        while !rest.is_empty() {
            let (tag, after) = rest.split_at_checked(place.tag.len())?;
            let (length, after) = after.split_at_checked(place.length_digits)?;
            let (value, after) = after.split_at_checked(length.parse().ok()?)?;
            if tag == place.tag {
                return Cvc::parse(value).ok();
            }
            rest = after;
        }
        None
    }
}

impl OriginalLayout {
    /// How many characters a part takes of the rest, behind digits that say so where there are any.
    fn width(&self, part: OriginalPart, rest: &mut &str) -> Option<usize> {
        let most = match part {
            OriginalPart::Mti => self.mti,
            OriginalPart::Stan => self.stan,
            OriginalPart::Time => self.time,
            OriginalPart::Forwarder => self.forwarder.min(rest.len()),
            OriginalPart::Acquirer if self.acquirer_length == 0 => self.acquirer,
            // An acquirer that isn't said ends the data.
            OriginalPart::Acquirer => match rest.split_at_checked(self.acquirer_length) {
                None => 0,
                Some((length, after)) => {
                    *rest = after;
                    length.parse().ok().filter(|length| *length <= self.acquirer)?
                }
            },
        };
        Some(most)
    }
}

fn text(message: &Message, element: u8) -> String {
    message.text(element).map_or_else(String::new, |text| text.trim_end().to_owned())
}

fn currency(code: &str) -> Option<Currency> {
    code.parse::<u16>().ok().and_then(Currency::from_numeric).or_else(|| Currency::from_code(code))
}

fn without_zeros(identification: &str) -> String {
    identification.trim_start_matches('0').to_owned()
}
