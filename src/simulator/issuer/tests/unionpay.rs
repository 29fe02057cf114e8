//! UnionPay's terminals: no DE7, no reference, and element 60 for nearly everything.

use super::*;

const HEADER: [u8; 11] = [0x60, 0x00, 0x03, 0x12, 0x34, 0x60, 0x31, 0x00, 0x31, 0x01, 0x00];

/// A host and a terminal in batch 000001.
struct Terminal {
    issuer: Issuer,
    spec: Arc<Spec>,
}

/// A message of the terminal: type, trace number, kind, and what else it has.
type Elements<'a> = Vec<(u8, &'a str)>;

impl Terminal {
    fn new() -> Self {
        let spec = dialects::builtin("unionpay-pos").unwrap().unwrap();
        let profile = Profile::builtin(Profile::suiting(spec.name())).unwrap().unwrap();
        let mut issuer = Issuer::new(spec.clone(), Arc::new(profile), Arc::new(Scenario::demo().unwrap()), 42);
        issuer.link_up(LINK);
        Self { issuer, spec }
    }

    fn ask(&mut self, mti: &str, trace: &str, kind: &str, more: &[(u8, &str)]) -> Message {
        let mut builder = MessageBuilder::new(mti.parse().unwrap()).header(&HEADER);
        builder.set(11, trace).set(41, "TERM0001").set(42, "MERCHANT0000001").set(60, format!("{kind}000001000601"));
        more.iter().for_each(|(element, text)| {
            builder.set(*element, text);
        });
        let sent = self.spec.encode_to_bytes(&builder).unwrap();
        let planned = self.issuer.receive(LINK, sent, NOON);
        let [Planned { action: Action::Send(bytes), .. }] = planned.as_slice() else { panic!("{planned:?}") };
        let answer = self.spec.decode(bytes.clone()).unwrap();
        assert_eq!(answer.header().unwrap()[1..5], [0x12, 0x34, 0x00, 0x03], "back to where it came from");
        assert_eq!(answer.text(11).unwrap(), trace);
        answer
    }

    fn code(&mut self, mti: &str, trace: &str, kind: &str, more: &[(u8, &str)]) -> String {
        self.ask(mti, trace, kind, more).text(39).unwrap().into_owned()
    }

    fn money(&self) -> (i64, i64) {
        let (_, currency, purse) = self.issuer.books().purses().next().unwrap();
        assert_eq!(currency.code(), "CNY");
        (purse.net, purse.held)
    }
}

fn paying<'a>(processing: &'a str, amount: &'a str) -> Elements<'a> {
    vec![(2, CARD), (3, processing), (4, amount), (14, "3012"), (22, "011"), (25, "00"), (49, "156")]
}

fn and<'a>(elements: &Elements<'a>, more: &[(u8, &'a str)]) -> Elements<'a> {
    elements.iter().chain(more).copied().collect()
}

#[test]
fn a_purchase_is_given_a_reference_and_the_time_and_is_voided_by_batch_and_trace() {
    let mut terminal = Terminal::new();
    let purchase = paying("000000", "000000001299");
    let answer = terminal.ask("0200", "000001", "22", &purchase);
    assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("0210", "00"));
    let said = [(12, "120000"), (13, "1122"), (37, "000000000001"), (49, "156")];
    for (element, text) in said {
        assert_eq!(answer.text(element).unwrap(), text, "{element}");
    }
    assert_eq!(answer.get("60.2").unwrap().text(), "000001");
    assert_eq!(terminal.money(), (-1_299, 0));
    assert_eq!(terminal.code("0200", "000001", "22", &purchase), "00", "the same once more");
    let rrn = answer.text(37).unwrap().into_owned();
    let named = and(&paying("200000", "000000001299"), &[(61, "0000010000011122")]);
    let void = terminal.ask("0200", "000002", "23", &named);
    assert_eq!((void.text(39).unwrap().as_ref(), void.text(37).unwrap().as_ref()), ("00", rrn.as_str()));
    assert_eq!(terminal.money(), (0, 0));
    assert_eq!(terminal.code("0200", "000003", "23", &named), "25", "it was voided");
}

#[test]
fn a_reversal_repeats_the_trace_of_what_it_takes_back() {
    let mut terminal = Terminal::new();
    let purchase = paying("000000", "000000000500");
    terminal.ask("0200", "000001", "22", &purchase);
    let reversal = and(&purchase, &[(39, "98")]);
    assert_eq!(terminal.code("0400", "000001", "22", &reversal), "00");
    assert_eq!(terminal.money(), (0, 0));
    assert_eq!(terminal.code("0400", "000001", "22", &reversal), "00", "again");
    assert_eq!(terminal.code("0400", "000009", "22", &reversal), "25");
    assert_eq!(terminal.code("0200", "000009", "22", &purchase), "05", "it was reversed before it came");
    assert_eq!(terminal.money(), (0, 0));
}

#[test]
fn a_pre_authorisation_is_completed_and_the_completion_voided() {
    let mut terminal = Terminal::new();
    let asked = and(&paying("030000", "000000002000"), &[]);
    let approval = terminal.ask("0100", "000001", "10", &asked).text(38).unwrap().into_owned();
    assert_eq!(terminal.money(), (0, 2_000));
    let completed = and(&paying("000000", "000000001500"), &[(38, &approval), (61, "0000010000011122")]);
    assert_eq!(terminal.code("0200", "000002", "20", &completed), "00");
    assert_eq!(terminal.money(), (-1_500, 500));
    let voided = and(&paying("200000", "000000001500"), &[(61, "0000010000021122")]);
    assert_eq!(terminal.code("0200", "000003", "21", &voided), "00");
    assert_eq!(terminal.money(), (0, 2_000));
    let given_up = and(&paying("200000", "000000002000"), &[(61, "0000010000011122")]);
    assert_eq!(terminal.code("0100", "000004", "11", &given_up), "00");
    assert_eq!(terminal.money(), (0, 0));
}

#[test]
fn refunds_offline_sales_and_balances_are_told_by_their_kind() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.code("0220", "000001", "25", &paying("200000", "000000000300")), "00");
    assert_eq!(terminal.money(), (300, 0));
    assert_eq!(terminal.code("0220", "000002", "30", &paying("000000", "000000000100")), "00");
    assert_eq!(terminal.money(), (200, 0));
    let balance = terminal.ask("0200", "000003", "01", &[(2, CARD), (3, "310000"), (25, "00"), (49, "156")]);
    assert_eq!(balance.text(39).unwrap(), "00");
    assert_eq!(balance.text(54).unwrap()[..20], *"0001156C000100000200");
    assert_eq!(terminal.code("0500", "000004", "00", &[]), "12", "settlement is not taken");
}

#[test]
fn a_terminal_signs_in_and_out_and_tests_the_line() {
    let mut terminal = Terminal::new();
    let network = |terminal: &mut Terminal, mti: &str, kind: &str| {
        let mut builder = MessageBuilder::new(mti.parse().unwrap()).header(&HEADER);
        builder.set(11, "000001").set(41, "TERM0001").set(60, format!("00000001{kind}"));
        let sent = terminal.spec.encode_to_bytes(&builder).unwrap();
        let planned = terminal.issuer.receive(LINK, sent, NOON);
        let Action::Send(bytes) = &planned[0].action else { panic!("{planned:?}") };
        let answer = terminal.spec.decode(bytes.clone()).unwrap();
        assert_eq!((answer.text(12).unwrap().as_ref(), answer.text(13).unwrap().as_ref()), ("120000", "1122"));
        (answer.mti().to_string(), answer.text(39).unwrap().into_owned())
    };
    for (mti, kind, answer) in [("0800", "003", "0810"), ("0820", "301", "0830"), ("0820", "002", "0830")] {
        assert_eq!(network(&mut terminal, mti, kind), (answer.to_owned(), "00".to_owned()), "{kind}");
    }
    assert_eq!(network(&mut terminal, "0800", "777").1, "12");
    assert_eq!(terminal.code("0200", "000002", "22", &paying("000000", "000000000100")), "00", "nobody has to sign on");
}
