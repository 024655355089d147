//! The standard health service, told what `telemetry::Health` says.

use std::time::Duration;

use tonic_health::{ServingStatus, server::HealthReporter};

use super::Api;

/// How often the state is looked at: what asks for it asks every few seconds.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Every service by its full name; the empty one stands for the whole server.
const SERVICES: [&str; 6] = [
    "",
    "tollgate.v1.AccountService",
    "tollgate.v1.BalanceService",
    "tollgate.v1.CatalogService",
    "tollgate.v1.SessionService",
    "tollgate.v1.EventService",
];

impl Api {
    /// Tells the state once.
    pub(super) async fn report_health(&self, reporter: &HealthReporter) {
        let serves = self.health.is_ready() && !self.closing.is_cancelled() && self.store.mark().fatal().is_none();
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES {
            reporter.set_service_status(service, status).await;
        }
    }

    /// Tells it until the server shuts down, and that it does. Then open watches end.
    pub(super) async fn follow_health(&self, mut reporter: HealthReporter) {
        let mut told = false;
        while !told {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.closing.cancelled() => told = true,
            }
            self.report_health(&reporter).await;
        }
        for service in SERVICES {
            reporter.clear_service_status(service).await;
        }
    }
}
