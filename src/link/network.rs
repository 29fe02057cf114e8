//! Network management messages (ISO 8583-1 class 8): sign-on, sign-off, echo and word of keys and days, asked
//! and answered.

use super::settings::NetworkSettings;
use crate::iso8583::{Message, MessageBuilder, Mti};
use crate::payment::{BusinessDate, Stan, Wall};

/// What a network management message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Opens the session.
    SignOn,
    /// Ends the session.
    SignOff,
    /// Shows that both ends live.
    Echo,
    /// The peer's business day ends and the next one begins.
    CutoverBegin,
    /// The peer has finished the day that ended.
    CutoverEnd,
    /// Brings new keys, or asks for them.
    KeyChange,
    /// The peer wants us to ask for new keys.
    KeyDemand,
    /// Something else, which is answered and not acted on.
    Other,
}

/// Writes and reads the network management messages of a dialect.
#[derive(Clone, Debug)]
pub struct Network {
    settings: NetworkSettings,
    mti: Mti,
}

impl Network {
    /// From checked settings.
    pub fn new(settings: NetworkSettings) -> Network {
        let mti = settings.mti.parse().expect("SessionSettings::read checked the message type");
        Network { settings, mti }
    }

    /// The request for a function.
    pub fn request(&self, function: Function, stan: Stan, now: Wall) -> MessageBuilder {
        let time = now.utc();
        let mut request = MessageBuilder::new(self.mti);
        let (month, day, hour) = (time.month(), time.day(), time.hour());
        let text = format!("{month:02}{day:02}{hour:02}{:02}{:02}", time.minute(), time.second());
        request.set(self.settings.time, &text);
        request.set(self.settings.stan, stan.to_string());
        request.set(self.settings.function, self.code(function));
        request
    }

    /// Whether the dialect has a code for a function.
    pub fn has(&self, function: Function) -> bool {
        match function {
            Function::SignOn | Function::SignOff | Function::Echo => true,
            Function::CutoverBegin => self.settings.cutover_begin.is_some(),
            Function::CutoverEnd => self.settings.cutover_end.is_some(),
            Function::KeyChange => self.settings.key_change.is_some(),
            Function::KeyDemand => self.settings.key_demand.is_some(),
            Function::Other => false,
        }
    }

    /// Word that our own business day has ended and this one has begun; `None` where the host is not told so.
    pub fn cutover(&self, begun: BusinessDate, stan: Stan, now: Wall) -> Option<MessageBuilder> {
        let mti: Mti = self.settings.cutover_mti.as_ref()?.parse().ok()?;
        let mut told = self.request(Function::CutoverBegin, stan, now);
        told.set_mti(mti);
        // CCYY-MM-DD; editions before 2003 leave out as much of the year as they do elsewhere.
        let digits = begun.to_string().replace('-', "");
        let year_digits = match mti.version() {
            0 => 4,
            1 => 2,
            _ => 0,
        };
        told.set(self.settings.business_date, digits.get(year_digits..)?);
        Some(told)
    }

    /// Whether the host is told when our own day ends.
    pub fn tells_cutover(&self) -> bool {
        self.settings.cutover_mti.is_some()
    }

    /// The answer to a peer's request: what it carries comes back, with a yes. `None` for what wants no answer.
    pub fn answer(&self, request: &Message) -> Option<MessageBuilder> {
        let yes = self.settings.approved.first().map_or("", String::as_str);
        self.answer_with(request, yes)
    }

    /// The same with another response code.
    pub fn answer_with(&self, request: &Message, code: &str) -> Option<MessageBuilder> {
        let mut answer = MessageBuilder::new(request.mti().response()?);
        for element in [self.settings.time, self.settings.stan, self.settings.function] {
            if let Some(text) = request.text(element) {
                answer.set(element, &text);
            }
        }
        if !code.is_empty() {
            answer.set(self.settings.response_code, code);
        }
        Some(answer)
    }

    /// What a message is for.
    pub fn function(&self, message: &Message) -> Function {
        let code = message.text(self.settings.function);
        let is = |wanted: &str| code.as_deref() == Some(wanted);
        match () {
            () if is(&self.settings.sign_on) => Function::SignOn,
            () if is(&self.settings.sign_off) => Function::SignOff,
            () if is(&self.settings.echo) => Function::Echo,
            () if self.settings.cutover_begin.as_deref().is_some_and(is) => Function::CutoverBegin,
            () if self.settings.cutover_end.as_deref().is_some_and(is) => Function::CutoverEnd,
            () if self.settings.key_change.as_deref().is_some_and(is) => Function::KeyChange,
            () if self.settings.key_demand.as_deref().is_some_and(is) => Function::KeyDemand,
            () => Function::Other,
        }
    }

    /// The business day that a message names, in the digits of its element.
    pub fn business_date<'m>(&self, message: &'m Message) -> Option<std::borrow::Cow<'m, str>> {
        message.text(self.settings.business_date)
    }

    /// Whether a reply says yes.
    pub fn is_approved(&self, reply: &Message) -> bool {
        let code = reply.text(self.settings.response_code);
        self.settings.approved.iter().any(|yes| code.as_deref() == Some(yes))
    }

    fn code(&self, function: Function) -> &str {
        match function {
            Function::SignOn => &self.settings.sign_on,
            Function::SignOff => &self.settings.sign_off,
            Function::Echo | Function::Other => &self.settings.echo,
            Function::CutoverBegin => self.settings.cutover_begin.as_deref().unwrap_or(&self.settings.echo),
            Function::CutoverEnd => self.settings.cutover_end.as_deref().unwrap_or(&self.settings.echo),
            Function::KeyChange => self.settings.key_change.as_deref().unwrap_or(&self.settings.echo),
            Function::KeyDemand => self.settings.key_demand.as_deref().unwrap_or(&self.settings.echo),
        }
    }
}
