//! `isthmus load`: payments by the thousand, to find out what a door stands.

mod given;

use crate::load::pace::Pace;
use crate::load::{self, Plan, Progress, Report};
use clap::Args;
use given::Given;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// The most threads: more than that is another machine's work.
const MOST_THREADS: usize = 64;

/// Send payments at a door, in a closed loop or at a rate, and report latencies and what they cost.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    isthmus load --demo isthmus-demo\n  \
    isthmus load --demo isthmus-demo --rate 500 --duration 1m --mix sale=8,refund=1,read=3\n  \
    isthmus load --target https://pay.example:443 --ca ca.pem --api-key-file key --connections 256 --json\n  \
    isthmus load --demo isthmus-demo --framed --connections 8 --in-flight 64\n  \
    isthmus load --demo isthmus-demo --xml\n  \
    isthmus load --target tcp://127.0.0.1:8583 --spec iso8583-1987-ascii --connections 2 --in-flight 64\n\n\
    Without --rate each connection asks again as soon as it was answered (closed loop): for throughput.\n\
    With --rate requests are due at their times, answered or not, and latencies count from then: for latency.\n\n\
    Exit code 1 where more than --max-errors percent of the requests were refused or not answered.")]
pub struct Load {
    #[command(flatten)]
    given: Given,
    /// Connections that are kept alive, each asking for one thing at a time unless it is --framed.
    #[arg(long, short, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Threads that share the connections.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Requests a second, answered or not (open loop).
    #[arg(long, short, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How long to measure: 10, 10s, 2m.
    #[arg(long, short, value_name = "TIME", default_value = "10s", value_parser = time)]
    duration: Duration,
    /// How long to grow to the full rate, or to all connections, before that.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    ramp: Duration,
    /// The most requests, the ramp included.
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// How long an answer is awaited.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    timeout: Duration,
    /// Draws operations, cards and amounts; the same seed draws the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Report the processor time of this process too.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Exit 1 where more requests than that were refused or not answered.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    max_errors: f64,
    /// The report as JSON, times in microseconds.
    #[arg(long)]
    json: bool,
}

impl Load {
    /// Exit code 0 where the requests were answered, 1 where not, 2 where it could not begin as asked.
    pub fn run(self) -> ExitCode {
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(wrong) => return failed(&wrong, 2),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error, 1),
        };
        let bar = bar(&plan);
        let report = runtime.block_on(load::run(plan, |progress| show(&bar, progress)));
        bar.finish_and_clear();
        match report {
            Ok(report) => self.print(&report),
            Err(error @ load::LoadError::NoProcess(_)) => failed(&error, 2),
            Err(error) => failed(&error, 1),
        }
    }

    fn print(&self, report: &Report) -> ExitCode {
        match self.json {
            true => println!("{:#}", report.to_json()),
            false => print!("{report}"),
        }
        let errors = report.errors_percent();
        if report.tally.answered == 0 {
            return failed(&"no request was answered", 1);
        }
        if errors > self.max_errors {
            let allowed = self.max_errors;
            return failed(
                &format!("{errors:.2}% of the requests were refused or not answered, more than {allowed}%"),
                1,
            );
        }
        ExitCode::SUCCESS
    }

    fn plan(&self) -> Result<Plan, String> {
        if self.duration.is_zero() || self.timeout.is_zero() {
            return Err("--duration and --timeout must be above 0".to_owned());
        }
        let connections = usize::try_from(self.connections).map_err(|_| "--connections is too large".to_owned())?;
        if self.threads == 0 || self.threads > MOST_THREADS.min(connections) {
            return Err(format!("--threads must be from 1 to {MOST_THREADS}, and not above --connections"));
        }
        Ok(Plan {
            customers: self.given.customers()?,
            connections,
            threads: self.threads,
            pace: self.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
            ramp: self.ramp,
            duration: self.duration,
            most: self.requests,
            timeout: self.timeout,
            seed: self.seed,
            server_pid: self.server_pid,
        })
    }
}

fn failed(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("isthmus load: {error}");
    ExitCode::from(code)
}

/// A line that moves on a terminal; nothing in a pipe.
fn bar(plan: &Plan) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let whole = u64::try_from((plan.ramp + plan.duration).as_millis()).unwrap_or(u64::MAX);
    let style = ProgressStyle::with_template("{bar:30} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(whole).with_style(style);
    bar.set_message(format!("connecting {}", plan.connections));
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX));
    let (p50, p99) = (progress.latency.percentile(50.0) as f64, progress.latency.percentile(99.0) as f64);
    bar.set_message(format!(
        "{:.0}/{:.0} s  {}/s  p50 {:.1} ms  p99 {:.1} ms  {} refused  {} failed",
        progress.elapsed.as_secs_f64(),
        progress.whole.as_secs_f64(),
        progress.answered,
        p50 / 1000.0,
        p99 / 1000.0,
        progress.refused,
        progress.failed,
    ));
}

/// A time in words, or seconds where there is no unit.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: expected for example 500ms, 10s, 2m, at most a day");
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let worded = || text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    seconds.or_else(worded).filter(|time| *time <= Duration::from_secs(86_400)).ok_or_else(wrong)
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0.01 to 10000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        let ms = |text: &str| time(text).map(|time| time.as_millis());
        assert_eq!(ms("10"), Ok(10_000));
        assert_eq!(ms("0.5"), Ok(500));
        assert_eq!((ms("500ms"), ms("10s"), ms("2m"), ms("1m30s")), (Ok(500), Ok(10_000), Ok(120_000), Ok(90_000)));
        for wrong in ["", "-1", "-5s", "x", "10 parsecs", "NaN", "inf", "2d"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("0.5"), Ok(0.5));
        assert!(["0", "-1", "NaN", "1e9", "x"].iter().all(|wrong| rate(wrong).is_err()));
    }
}
