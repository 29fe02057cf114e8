//! Business days, told in conversations: what ends a day, what keeps it open, and what survives a crash.

use super::*;
use isthmus::host::{DayKeeper, DaySettings};
use isthmus::payment::{BusinessDate, CutoverClock, Name};
use isthmus::switch::{HostMode, Operate, OperatorId, Order};

fn day(text: &str) -> BusinessDate {
    BusinessDate::parse(text).unwrap()
}

impl Desk {
    /// The bank answers the last frame and names its day.
    fn reply_on(&mut self, mmdd: &str) {
        let asked = self.last();
        let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
        for element in [3, 4, 7, 11, 32, 37, 41, 42, 49] {
            if let Some(text) = asked.text(element) {
                reply.set(element, &text);
            }
        }
        reply.set(15, mmdd);
        reply.set(39, "00");
        let frame = self.spec.encode_to_bytes(&reply).unwrap();
        self.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac: MacVerdict::NotAsked });
    }

    /// The bank says that its day ends.
    fn announce(&mut self, stan: &str) {
        let mut request = MessageBuilder::new("0800".parse().unwrap());
        request.set(7, "1122120000");
        request.set(11, stan);
        request.set(70, "201");
        let frame = self.spec.encode_to_bytes(&request).unwrap();
        self.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac: MacVerdict::NotAsked });
    }

    fn today(&self) -> BusinessDate {
        self.switch.snapshot().hosts[0].day
    }

    fn open_days(&self) -> usize {
        self.switch.snapshot().hosts[0].open_days
    }

    fn kept_by(day: DaySettings) -> Desk {
        let mut settings = Desk::settings();
        settings.hosts[0].day = day;
        Desk::with(settings)
    }
}

/// A bank that is told of the cutover at one minute past twelve, which is ours.
fn told_of_our_day(mti: &str) -> Settings {
    let mut settings = Desk::settings();
    settings.hosts[0].day =
        DaySettings { keeper: DayKeeper::Ours, cutover: CutoverClock::new("12:01", jiff::tz::TimeZone::UTC) };
    let session = Arc::make_mut(&mut settings.hosts[0].session);
    session.network.cutover_mti = Some(mti.to_owned());
    // Nothing but the cutover is said to it.
    session.echo_idle = Duration::from_secs(100_000);
    settings
}

#[test]
fn our_own_cutover_is_told_until_the_bank_knows_of_it_over_a_restart_too() {
    let settings = told_of_our_day("0820");
    let mut desk = Desk::with(settings.clone());
    let frames = desk.frames.len();
    desk.pass(60);
    assert_eq!((desk.today(), desk.frames.len()), (day("2026-11-23"), frames), "it is not durable yet");
    desk.commit();
    let told = desk.last();
    let element = |element: u8| told.text(element).map(|text| text.into_owned());
    assert_eq!(
        (desk.mti().as_str(), element(70).as_deref(), element(15).as_deref()),
        ("0820", Some("201"), Some("1123"))
    );

    desk.pass(10);
    assert_ne!(desk.last().text(11), told.text(11), "told again, as another message");
    let mut after = Desk::offline(settings);
    after.handle(Event::Hosts(desk.journal.hosts()));
    after.handle(Event::Numbers(desk.journal.numbers()));
    after.now = desk.now;
    after.handle(Event::Start);
    after.commit();
    after.handle(Event::Connected { link: LinkId(0) });
    after.reply("00");
    assert_eq!((after.mti().as_str(), after.last().text(15).as_deref()), ("0820", Some("1123")));
    after.reply("00");
    after.commit();
    assert_eq!(after.journal.hosts()[0].untold, None);
    let frames = after.frames.len();
    after.pass(20);
    assert_eq!(after.frames.len(), frames, "it knows");
}

#[test]
fn a_bank_that_will_not_hear_of_our_cutover_is_a_persons_to_tell() {
    let mut desk = Desk::with(told_of_our_day("0800"));
    desk.pass(60);
    desk.commit();
    assert_eq!(desk.mti(), "0800");
    desk.reply("12");
    desk.commit();
    let frames = desk.frames.len();
    desk.pass(10);
    assert_eq!((desk.frames.len(), desk.journal.hosts()[0].untold), (frames, None));
    assert_eq!(desk.untold, [day("2026-11-23")]);
}

#[test]
fn a_bank_that_is_silent_about_our_cutover_is_told_ten_times_and_then_a_person_is() {
    let settings = told_of_our_day("0820");
    let pause = settings.hosts[0].session.answer_timeout.as_secs();
    let mut desk = Desk::with(settings);
    let frames = desk.frames.len();
    desk.pass(60);
    desk.commit();
    (0..30).for_each(|_| desk.pass(pause + 1));
    desk.commit();
    assert_eq!((desk.frames.len() - frames, desk.untold.as_slice()), (10, &[day("2026-11-23")][..]));
    assert_eq!(desk.journal.hosts()[0].untold, None, "it is not begun anew after a restart");
    desk.sale(1, 7);
    desk.commit();
    assert_eq!(desk.mti(), "0200", "and payments go on");
}

#[test]
fn nothing_is_told_of_our_cutover_while_the_store_is_slow() {
    let mut desk = Desk::with(told_of_our_day("0820"));
    desk.pass(60);
    desk.commit();
    let pause = desk.settings.hosts[0].session.answer_timeout.as_secs();
    let order = Order::Host { host: Name::from("bank"), mode: HostMode::Maintenance };
    desk.handle(Event::Operate(Box::new(Operate {
        waiter: OperatorId(1),
        who: "ada".to_owned(),
        why: "a test".to_owned(),
        order,
    })));
    // The order is durable, and how the host stands by it is on its way.
    for (ticket, result) in desk.store() {
        desk.handle(Event::Recorded { ticket, result });
    }
    let frames = desk.frames.len();
    desk.pass(pause + 1);
    assert_eq!(desk.frames.len(), frames);
    desk.commit();
    desk.pass(1);
    assert_eq!((desk.frames.len() - frames, desk.mti().as_str()), (1, "0820"));
}

#[test]
fn a_bank_that_is_down_at_our_cutover_is_told_when_it_is_back() {
    let mut desk = Desk::with(told_of_our_day("0820"));
    desk.handle(Event::Disconnected { link: LinkId(0), unsent: Vec::new() });
    let frames = desk.frames.len();
    desk.pass(60);
    desk.commit();
    (0..30).for_each(|_| desk.pass(60));
    assert_eq!((desk.today(), desk.frames.len()), (day("2026-11-23"), frames), "the day ends without it");
    assert!(desk.untold.is_empty(), "it was not asked in vain");
    desk.handle(Event::Connected { link: LinkId(0) });
    assert_eq!(desk.mti(), "0800", "the sign-on");
    desk.reply("00");
    assert_eq!((desk.mti().as_str(), desk.last().text(15).as_deref()), ("0820", Some("1123")));
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.journal.hosts()[0].untold, None);
}

#[test]
fn an_announced_cutover_is_answered_once_durable_and_outlives_a_crash() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply_on("1122");
    desk.commit();
    let before = desk.frames.len();
    desk.announce("000777");
    assert_eq!((desk.today(), desk.frames.len()), (day("2026-11-23"), before), "not answered yet");
    desk.commit();
    assert_eq!(desk.mti(), "0810");
    desk.announce("000778");
    assert_eq!((desk.frames.len(), desk.today()), (before + 2, day("2026-11-23")), "answered at once, and the same");

    let mut after = Desk::offline(Desk::settings());
    after.handle(Event::Hosts(desk.journal.hosts()));
    assert_eq!(after.today(), day("2026-11-23"));
}

#[test]
fn a_reversal_carries_the_day_of_its_original_over_a_cutover() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply_on("1122");
    desk.sale(2, 8);
    desk.commit();
    desk.announce("000777");
    desk.commit();
    desk.pass(5);
    desk.commit();
    assert_eq!((desk.mti().as_str(), desk.last().text(15).as_deref()), ("0420", Some("1122")));
    desk.pass(2);
    assert_eq!((desk.today(), desk.open_days()), (day("2026-11-23"), 1), "the day before is still owed something");
    desk.pass(5);
    desk.pass(1);
    desk.commit();
    assert_eq!((desk.mti().as_str(), desk.last().text(15).as_deref()), ("0421", Some("1122")));
    desk.reply("00");
    desk.commit();
    desk.pass(2);
    desk.commit();
    assert_eq!(desk.open_days(), 0, "nothing of it is owed any more");
    assert_eq!(desk.folded(8).first().business_date, day("2026-11-22"));
    assert!(desk.journal.hosts()[0].day.as_ref().unwrap().open.is_empty());
}

#[test]
fn what_is_owed_keeps_its_day_open_over_a_restart() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply_on("1122");
    desk.sale(2, 8);
    desk.commit();
    desk.announce("000777");
    desk.commit();
    desk.pass(5);
    desk.commit();
    for resume_first in [true, false] {
        let mut after = Desk::offline(Desk::settings());
        let mut events = [Event::Resume(desk.journal.in_motion()), Event::Hosts(desk.journal.hosts())];
        if !resume_first {
            events.reverse();
        }
        events.into_iter().for_each(|event| after.handle(event));
        after.pass(3);
        assert_eq!((after.today(), after.open_days()), (day("2026-11-23"), 1));
    }
}

#[test]
fn a_sale_of_yesterday_is_not_voided() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply_on("1122");
    desk.commit();
    desk.announce("000777");
    desk.commit();
    desk.submit(2, "void-7", Command::Void { payment: PaymentId(7) });
    desk.load();
    let refusal = format!("{:?}", desk.answers.last().unwrap().1);
    assert_eq!(refusal, "Refused(Illegal(DayClosed))");
}

#[test]
fn our_own_day_ends_by_our_clock_whatever_the_bank_says() {
    let clock = CutoverClock::new("12:01", jiff::tz::TimeZone::UTC);
    let mut desk = Desk::kept_by(DaySettings { keeper: DayKeeper::Ours, cutover: clock });
    desk.sale(1, 7);
    desk.commit();
    desk.reply_on("1125");
    desk.commit();
    assert_eq!(desk.folded(7).first().business_date, day("2026-11-22"));
    desk.announce("000777");
    assert_eq!(desk.today(), day("2026-11-22"));
    desk.pass(60);
    assert_eq!(desk.today(), day("2026-11-23"));
}
