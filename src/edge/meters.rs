//! The metrics of requests, by handles that are kept: to look one up by its labels costs ten times what counting does.
//!
//! There are as many as the routes have statuses and codes of problems, whatever is asked.

use super::measure::{REQUEST_SECONDS, REQUESTS};
use metrics::{Counter, Histogram};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Counts requests of one door.
#[derive(Default)]
pub(super) struct Meters(RwLock<BTreeMap<String, Route>>);

struct Route {
    seconds: Histogram,
    answers: BTreeMap<(u16, &'static str), Counter>,
}

impl Meters {
    /// Counts one, with the code of its problem or nothing.
    pub(super) fn count(&self, route: &str, status: u16, code: &'static str, took: Duration) {
        if !self.count_known(route, status, code, took) {
            self.learn(route, status, code);
            self.count_known(route, status, code, took);
        }
    }

    fn count_known(&self, route: &str, status: u16, code: &'static str, took: Duration) -> bool {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = routes.get(route).and_then(|route| Some((route, route.answers.get(&(status, code))?)));
        let Some((route, answers)) = known else { return false };
        route.seconds.record(took);
        answers.increment(1);
        true
    }

    fn learn(&self, route: &str, status: u16, code: &'static str) {
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let label = route.to_owned();
        let answers = metrics::counter!(REQUESTS, "route" => label, "status" => status.to_string(), "code" => code);
        let known = routes.entry(route.to_owned()).or_insert_with_key(|route| Route {
            seconds: metrics::histogram!(REQUEST_SECONDS, "route" => route.clone()),
            answers: BTreeMap::new(),
        });
        known.answers.insert((status, code), answers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn each_request_counts_once_where_it_belongs() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let meters = Meters::default();
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..3 {
                meters.count("/v1/payments", 201, "", Duration::from_millis(1));
            }
            meters.count("/v1/payments", 503, "overloaded", Duration::from_millis(1));
            meters.count("none", 404, "route_not_found", Duration::from_millis(1));
        });
        let shown = recorder.handle().render();
        let has = |line: &str| assert!(shown.contains(line), "{line} is not in\n{shown}");
        has(r#"isthmus_edge_requests_total{route="/v1/payments",status="201",code=""} 3"#);
        has(r#"isthmus_edge_requests_total{route="/v1/payments",status="503",code="overloaded"} 1"#);
        has(r#"isthmus_edge_requests_total{route="none",status="404",code="route_not_found"} 1"#);
        has(r#"isthmus_edge_request_seconds_count{route="/v1/payments"} 4"#);
    }
}
