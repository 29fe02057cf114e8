//! Medians over the rounds, one row a measurement, in the order in which they first came.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What is 1.00 in the column of ratios.
const REFERENCE: &str = "do-nothing HTTPS, 64 connections";

/// One measurement.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub per_second: f64,
    /// Of the server; of both ends for a link.
    pub cpu_us: f64,
    /// 50, 99 and 99.9 percent, in microseconds.
    pub latency_us: Option<[f64; 3]>,
    /// Of the generator.
    pub load_us: Option<f64>,
    /// Of the journal's records a payment.
    pub journal_bytes: Option<f64>,
    /// All that was written to disk a payment: log, journal and views.
    pub disk_bytes: Option<f64>,
    /// The server's processor time by the names of its threads.
    pub threads_us: BTreeMap<String, f64>,
}

impl Row {
    /// From a report of `isthmus load`.
    pub fn of(report: &Value) -> Row {
        let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
        let threads = report.pointer("/server/threads_cpu_us_per_request").and_then(Value::as_object);
        let threads = threads.into_iter().flatten().map(|(name, us)| (name.clone(), us.as_f64().unwrap_or_default()));
        Row {
            per_second: number("/answered_per_second"),
            cpu_us: number("/server/cpu_us_per_request"),
            latency_us: Some([number("/latency_us/p50"), number("/latency_us/p99"), number("/latency_us/p99_9")]),
            load_us: Some(number("/generator/cpu_us_per_request")),
            threads_us: threads.collect(),
            ..Row::default()
        }
    }

    /// From a report of `link_trip` or `switch_alone`, which measure themselves.
    pub fn of_one_process(report: &Value) -> Row {
        let number = |name: &str| report[name].as_f64().unwrap_or_default();
        Row { per_second: number("per_second"), cpu_us: number("cpu_us_each"), ..Row::default() }
    }

    fn per_cpu_second(&self) -> f64 {
        if self.cpu_us > 0.0 { 1e6 / self.cpu_us } else { 0.0 }
    }
}

/// All rows of all rounds.
#[derive(Default)]
pub struct Table(Vec<(String, Vec<Row>)>);

impl Table {
    pub fn add(&mut self, name: &str, row: Row) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, rows)) => rows.push(row),
            None => self.0.push((name.to_owned(), vec![row])),
        }
    }

    /// Half of what a row does a second, rounded.
    pub fn half_of(&self, name: &str) -> Option<String> {
        Some(format!("{:.0}", self.median(name, |row| row.per_second)? / 2.0)).filter(|rate| rate != "0")
    }

    fn median(&self, name: &str, of: impl Fn(&Row) -> f64) -> Option<f64> {
        let (_, rows) = self.0.iter().find(|(known, _)| known == name)?;
        median(rows.iter().map(of))
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => values.get(odd / 2).copied(),
        even => Some((values.get(even / 2 - 1)? + values.get(even / 2)?) / 2.0),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.median(REFERENCE, Row::per_cpu_second).unwrap_or(f64::INFINITY);
        writeln!(
            f,
            "| | a second | CPU us each | each CPU-second | ratio | p50 / p99 / p99.9 ms | generator CPU us | journal B | disk B |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for (name, rows) in &self.0 {
            let of = |field: fn(&Row) -> f64| median(rows.iter().map(field)).unwrap_or_default();
            let maybe = |field: fn(&Row) -> Option<f64>| median(rows.iter().filter_map(field));
            let shown =
                |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
            let quantile = |place: usize| {
                let values = rows.iter().filter_map(|row| row.latency_us?.get(place).copied());
                shown(median(values).map(|us| us / 1000.0), 2)
            };
            let each = of(Row::per_cpu_second);
            writeln!(
                f,
                "| {name} | {:.0} | {:.2} | {each:.0} | {:.3} | {} / {} / {} | {} | {} | {} |",
                of(|row| row.per_second),
                of(|row| row.cpu_us),
                each / reference,
                quantile(0),
                quantile(1),
                quantile(2),
                shown(maybe(|row| row.load_us), 1),
                shown(maybe(|row| row.journal_bytes), 0),
                shown(maybe(|row| row.disk_bytes), 0),
            )?;
        }
        self.0.iter().filter(|(name, _)| name.starts_with("Isthmus")).try_for_each(|(name, rows)| {
            let names: std::collections::BTreeSet<&String> =
                rows.iter().flat_map(|row| row.threads_us.keys()).collect();
            let of = |thread: &String| {
                median(rows.iter().map(|row| row.threads_us.get(thread).copied().unwrap_or_default()))
            };
            let parts: Vec<String> =
                names.into_iter().map(|thread| format!("{thread} {:.1}", of(thread).unwrap_or_default())).collect();
            writeln!(f, "\n{name}, CPU us a request by thread: {}", parts.join(", "))
        })
    }
}
