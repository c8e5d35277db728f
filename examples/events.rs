//! A page that follows what happens: the server sends an event each second, the page shows it,
//! and after a break goes on where it was.
//!
//! `cargo run --release --example events -- --listen 127.0.0.1:8080`

use futures_util::stream;
use monoloop::events::Event;
use monoloop::time::sleep;
use monoloop::{Request, Response, Router, Server};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    monoloop::cli::main(|config| Server::from_config(&config).run(routes))
}

fn routes() -> Router {
    Router::new()
        .get("/", async |_| {
            Response::html(include_str!("events/page.html"))
        })
        .get("/events", events)
}

/// Stands for what a program has to tell.
#[derive(Serialize)]
struct Reading {
    number: u64,
    celsius: f64,
}

async fn events(request: Request) -> Response {
    let seen: Option<u64> = request.last_event_id().and_then(|id| id.parse().ok());
    let first = seen.map_or(0, |seen| seen.saturating_add(1));
    Response::events(stream::unfold(first, async |number| {
        sleep(Duration::from_secs(1)).await;
        let celsius = 20.0 + (number as f64 / 7.0).sin() * 3.0;
        let event = Event::json(&Reading { number, celsius })
            .with_name("reading")
            .with_id(number.to_string());
        Some((event, number + 1))
    }))
}
