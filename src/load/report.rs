//! What a run tells at its end, for people and for programs.

use super::pace::Pace;
use super::processor::Usage;
use super::tally::{Tally, Times};
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// From which share of its thread on the generator is taken for the limit.
const BUSY: f64 = 0.9;

/// What came of a run. Only its measured part: the ramp is left out.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who was asked.
    pub target: String,
    /// Whether bodies were sealed.
    pub is_sealed: bool,
    /// Whether bodies were XML.
    pub is_xml: bool,
    /// Requests in flight on each connection.
    pub in_flight: usize,
    /// What was asked.
    pub mix: String,
    /// How requests followed each other.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// How long was measured.
    pub measured: Duration,
    /// Whether it ended before its time.
    pub is_early: bool,
    /// Requests that were due and that no connection was free for up to the end.
    pub not_begun: u64,
    /// What was counted.
    pub tally: Tally,
    pub(super) generator: Usage,
    pub(super) server: Option<Usage>,
}

impl Report {
    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        share(self.tally.answered_within as f64, self.measured.as_secs_f64())
    }

    /// The share of requests that were refused or had no answer, in percent.
    pub fn errors_percent(&self) -> f64 {
        let errors = self.tally.refused + self.tally.failed;
        share(errors as f64 * 100.0, self.tally.ended() as f64)
    }

    /// The share of its time that the busiest thread of the generator was at work.
    pub fn generator_busy(&self) -> f64 {
        let busiest = self.generator.threads.iter().filter(|(name, _)| name.starts_with("load-"));
        let busiest = busiest.map(|(_, used)| *used).max().unwrap_or_default();
        share(busiest.as_secs_f64(), self.measured.as_secs_f64())
    }

    /// Everything, times in microseconds.
    pub fn to_json(&self) -> Value {
        let tally = &self.tally;
        let (pace, rate) = match self.pace {
            Pace::Closed => ("closed", None),
            Pace::Open { rate } => ("open", Some(rate)),
        };
        let operations: Map<String, Value> =
            tally.operations.iter().map(|(name, times)| ((*name).to_owned(), times.to_json())).collect();
        json!({
            "target": self.target,
            "sealed": self.is_sealed,
            "xml": self.is_xml,
            "in_flight": self.in_flight,
            "mix": self.mix,
            "loop": pace,
            "rate": rate,
            "connections": self.connections,
            "threads": self.threads,
            "seconds": self.measured.as_secs_f64(),
            "ended_early": self.is_early,
            "answered": tally.answered,
            "refused": tally.refused,
            "failed": tally.failed,
            "not_begun": self.not_begun,
            "answered_per_second": self.per_second(),
            "errors_percent": self.errors_percent(),
            "outcomes": tally.outcomes,
            "latency_us": tally.latency.to_json(),
            "service_us": tally.service.to_json(),
            "delay_us": tally.delay.to_json(),
            "operations_latency_us": operations,
            "refusals_service_us": tally.refusals.iter()
                .map(|(code, times)| (code.clone(), times.to_json())).collect::<Map<String, Value>>(),
            "generator": self.processor(&self.generator),
            "generator_busy": self.generator_busy(),
            "server": self.server.as_ref().map(|used| self.processor(used)),
        })
    }

    fn processor(&self, used: &Usage) -> Value {
        let a_request = |time: &Duration| share(time.as_secs_f64() * 1e6, self.tally.ended_within as f64);
        let threads: Map<String, Value> =
            used.threads.iter().map(|(name, time)| (name.clone(), json!(a_request(time)))).collect();
        json!({
            "cpu_seconds": used.whole.as_secs_f64(),
            "cores": share(used.whole.as_secs_f64(), self.measured.as_secs_f64()),
            "cpu_us_per_request": a_request(&used.whole),
            "requests_per_cpu_second": share(self.tally.ended_within as f64, used.whole.as_secs_f64()),
            "threads_cpu_us_per_request": threads,
        })
    }

    /// What the reader must know before believing the figures.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_early {
            warnings.push("it ended before its time".to_owned());
        }
        if self.generator_busy() > BUSY {
            let busy = self.generator_busy() * 100.0;
            warnings.push(format!(
                "a thread of the generator was {busy:.0}% busy: its limit, not the server's (--threads)"
            ));
        }
        if self.not_begun > 0 {
            warnings.push(format!(
                "{} requests were due and found no free connection: the percentiles are better than the truth",
                self.not_begun
            ));
        }
        warnings
    }

    fn write_processor(&self, f: &mut fmt::Formatter<'_>, who: &str, used: &Usage) -> fmt::Result {
        let cores = share(used.whole.as_secs_f64(), self.measured.as_secs_f64());
        let each = share(used.whole.as_secs_f64() * 1e6, self.tally.ended_within as f64);
        writeln!(f, "{who:<12}{cores:.2} cores, {each:.1} us of processor time a request")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let pace = match self.pace {
            Pace::Closed => "closed loop".to_owned(),
            Pace::Open { rate } => format!("open loop at {rate} a second"),
        };
        let seconds = self.measured.as_secs_f64();
        let written = match (self.is_sealed, self.is_xml) {
            (true, _) => ", sealed",
            (false, true) => ", XML",
            (false, false) => "",
        };
        let each = if self.in_flight > 1 { format!(" with {} in flight each", self.in_flight) } else { String::new() };
        writeln!(f, "{}  {}{written}", self.target, self.mix)?;
        writeln!(f, "{pace}, {} connections{each}, {seconds:.1} s measured\n", self.connections)?;
        writeln!(f, "answered    {} ({:.0} a second)", tally.answered, self.per_second())?;
        writeln!(f, "refused     {}", tally.refused)?;
        writeln!(f, "failed      {}", tally.failed)?;
        for (name, count) in &tally.outcomes {
            writeln!(f, "  {count:>10}  {name}")?;
        }
        writeln!(f, "\n{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}  ms", "", "p50", "p90", "p99", "p99.9", "max")?;
        write_times(f, "latency", &tally.latency)?;
        if self.pace != Pace::Closed {
            write_times(f, "service", &tally.service)?;
            write_times(f, "delay", &tally.delay)?;
        }
        if tally.operations.len() > 1 {
            tally.operations.iter().try_for_each(|(name, times)| write_times(f, &format!("  {name}"), times))?;
        }
        tally.refusals.iter().try_for_each(|(code, times)| write_times(f, code, times))?;
        writeln!(f)?;
        self.write_processor(f, "generator", &self.generator)?;
        if let Some(used) = &self.server {
            self.write_processor(f, "server", used)?;
        }
        self.warnings().iter().try_for_each(|warning| writeln!(f, "note: {warning}"))
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, name: &str, times: &Times) -> fmt::Result {
    write!(f, "{name:<12}")?;
    for percent in [50.0, 90.0, 99.0, 99.9, 100.0] {
        write!(f, "{:>10.3}", times.percentile(percent) as f64 / 1000.0)?;
    }
    writeln!(f)
}

/// A quotient; nothing of nothing is nothing.
fn share(of: f64, whole: f64) -> f64 {
    if whole > 0.0 { of / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::pace::Timing;
    use super::super::tally::Outcome;
    use super::*;

    fn report(not_begun: u64, generator_seconds: u64) -> Report {
        let mut tally = Tally::default();
        let timing = |ms: u64| Timing {
            intended: Duration::ZERO,
            begun: Duration::from_millis(1),
            ended: Duration::from_millis(ms),
        };
        for ms in 1..=100 {
            tally.count("sale", timing(ms), Outcome::Answered("captured".to_owned()), true);
        }
        tally.count("sale", timing(1), Outcome::Refused("503 overloaded".to_owned()), true);
        let used = Duration::from_secs(generator_seconds);
        Report {
            target: "https://localhost:1".to_owned(),
            is_sealed: false,
            is_xml: false,
            in_flight: 1,
            mix: "sale=1".to_owned(),
            pace: Pace::Open { rate: 100.0 },
            connections: 4,
            threads: 1,
            measured: Duration::from_secs(10),
            is_early: false,
            not_begun,
            tally,
            generator: Usage { whole: used, threads: [("load-0".to_owned(), used)].into() },
            server: Some(Usage { whole: Duration::from_secs(1), threads: Default::default() }),
        }
    }

    #[test]
    fn programs_read_rates_percentiles_and_both_processors() {
        let json = report(0, 5).to_json();
        assert_eq!(
            (&json["answered"], &json["refused"], &json["answered_per_second"]),
            (&json!(100), &json!(1), &json!(10.0))
        );
        let p50 = json["latency_us"]["p50"].as_u64().unwrap_or_default();
        assert!((49_900..=50_100).contains(&p50), "{p50}");
        assert_eq!(json["generator"]["cores"], json!(0.5));
        assert_eq!(json["server"]["requests_per_cpu_second"], json!(101.0));
        assert_eq!(json["outcomes"]["503 overloaded"], json!(1));
    }

    #[test]
    fn people_are_told_what_the_figures_hide() {
        let calm = report(0, 5).to_string();
        assert!(calm.contains("answered    100 (10 a second)") && !calm.contains("note:"), "{calm}");
        let strained = report(7, 10).to_string();
        assert!(strained.contains("100% busy") && strained.contains("7 requests were due"), "{strained}");
    }

    #[test]
    fn a_run_without_an_answer_is_told_without_dividing_by_nothing() {
        let empty = Report { tally: Tally::default(), measured: Duration::ZERO, ..report(0, 0) };
        assert_eq!((empty.per_second(), empty.errors_percent(), empty.generator_busy()), (0.0, 0.0, 0.0));
        assert!(!empty.to_string().contains("NaN") && !empty.to_json().to_string().contains("null,\"p"));
    }
}
