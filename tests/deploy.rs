//! What stands in `deploy/` names what there is: metrics that the code has, alerts that the runbook explains.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(path) } else { vec![path] }).collect()
}

/// Words that look like metrics of ours.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("isthmus_")).map(str::to_owned).collect()
}

/// Every metric that the code names in a constant, and what Prometheus makes of its histograms.
fn metrics_of_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in sources(root().join("src")) {
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| line.starts_with("pub const") && line.contains("&str = \"isthmus_")) {
            names.extend(metrics_in(line));
        }
    }
    names
}

/// A histogram of seconds has buckets; one without bounds is a summary, without them.
fn exists(metric: &str, names: &BTreeSet<String>) -> bool {
    let part = |end: &str| metric.strip_suffix(end).filter(|name| names.contains(*name));
    let bucket = part("_bucket").is_some_and(|name| name.ends_with("_seconds"));
    let summed = part("_sum").or(part("_count")).is_some_and(|name| !name.ends_with("_total"));
    names.contains(metric) || bucket || summed
}

fn alerts() -> BTreeSet<String> {
    let rules = read("deploy/prometheus/alerts.yml");
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_looked_at_exists() {
    let names = metrics_of_the_code();
    assert!(names.len() > 20, "the code has metrics: {names:?}");
    for file in ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts_test.yml", "deploy/grafana/isthmus.json"] {
        let asked = metrics_in(&read(file));
        let unknown: Vec<&String> = asked.iter().filter(|metric| !exists(metric, &names)).collect();
        assert!(!asked.is_empty() && unknown.is_empty(), "{file} asks for {unknown:?}");
    }
}

#[test]
fn metrics_that_do_not_exist_are_found() {
    let names = metrics_of_the_code();
    for wrong in ["isthmus_parked_total", "isthmus_in_flight_bucket", "isthmus_operations_total_sum", "isthmus_nothing"]
    {
        assert!(!exists(wrong, &names), "{wrong}");
    }
    assert!(exists("isthmus_journal_commit_seconds_bucket", &names));
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_no_section_is_left_over() {
    let runbook = read("deploy/RUNBOOK.md");
    let sections: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(sections, alerts());
}

#[test]
fn the_dashboard_is_json_whose_panels_are_unlike() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/isthmus.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let shows = |panel: &serde_json::Value| panel["type"] == "row" || panel["targets"][0]["expr"].is_string();
    assert!(panels.iter().all(shows));
}

#[test]
fn the_package_installs_what_is_there() {
    let manifest = read("Cargo.toml");
    let (_, assets) = manifest.split_once("[package.metadata.deb]").expect("the manifest describes a package");
    let named: Vec<&str> = assets.split('"').filter(|word| word.starts_with("deploy/")).collect();
    assert!(named.len() >= 4, "{named:?}");
    for path in named {
        assert!(root().join(path).exists(), "{path} is not there");
    }
}
