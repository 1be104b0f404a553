//! The port for operators: `/livez` and `/readyz` over HTTP.

use std::io;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::Readiness;

/// Answers until it is dropped: also while the program ends, so that it can say so.
///
/// - `/livez`: 200 as long as the process runs.
/// - `/readyz`: 200 if all checks are well, 503 otherwise, with a line for each check; before the program has begun, what it
///   waits for.
pub async fn serve(listener: TcpListener, readiness: Readiness) -> io::Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(readiness);
    axum::serve(listener, router).await
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let report = readiness.report().await;
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, report.to_string())
}
