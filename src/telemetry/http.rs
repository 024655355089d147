//! The HTTP endpoint: `/metrics`, `/healthz`, `/readyz`.

use std::{future::Future, io, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{Health, HealthState, Metrics};

/// Histograms gather at most this long before they are folded.
const UPKEEP: Duration = Duration::from_secs(1);

/// Serves until `shutdown` resolves.
///
/// # Errors
///
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Health,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state((metrics.clone(), health));
    tokio::select! {
        // Requests here take no time, so there is nothing to drain.
        result = async { axum::serve(listener, router).await } => result,
        () = shutdown => Ok(()),
        () = upkeep(metrics) => Ok(()),
    }
}

async fn upkeep(metrics: Metrics) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}

type Shared = State<(Metrics, Health)>;

async fn render(State((metrics, _)): Shared) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

async fn alive(State((_, health)): Shared) -> Response {
    let state = health.get();
    answer(!matches!(state, HealthState::Failed(_)), &state)
}

async fn ready(State((_, health)): Shared) -> Response {
    let state = health.get();
    answer(state == HealthState::Ready, &state)
}

fn answer(good: bool, state: &HealthState) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", state.describe())).into_response()
}
