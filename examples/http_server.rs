//! An HTTP server with a route for each thing one asks of a server.
//!
//! `cargo run --release --example http_server -- --listen 127.0.0.1:8080`

use futures_util::stream;
use monoloop::time::sleep;
use monoloop::{
    Body, Bytes, IntoResponse, Json, Request, Response, Router, Server, StatusCode, spawn_blocking,
};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    monoloop::cli::main(|config| Server::from_config(&config).run(routes))
}

fn routes() -> Router {
    Router::new()
        .get("/plaintext", async |_| Response::text("Hello, World!"))
        .get("/json", json)
        .post("/echo", echo)
        .get("/users/{id}", user)
        .get("/delay", delay)
        .get("/stream", stream_of_chunks)
        .get("/block", block)
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

async fn json(_: Request) -> Json<Message> {
    Json(Message {
        message: "Hello, World!",
    })
}

/// Sends the body back while it still comes in.
async fn echo(request: Request) -> Response {
    let next = async |mut body: Body| body.chunk().await.map(|piece| (piece, body));
    Response::stream(stream::unfold(request.into_body(), next))
}

async fn user(request: Request) -> String {
    format!("user {}\n", request.param("id").unwrap_or_default())
}

async fn delay(request: Request) -> Result<String, BadNumber> {
    let delay = millis(&request, 100)?;
    sleep(delay).await;
    Ok(format!("waited {delay:?}\n"))
}

async fn stream_of_chunks(_: Request) -> Response {
    let chunks = stream::unfold(1, async |number| {
        sleep(Duration::from_millis(100)).await;
        let chunk = Bytes::from(format!("chunk {number} of 5\n"));
        (number <= 5).then_some((Ok::<_, std::io::Error>(chunk), number + 1))
    });
    Response::stream(chunks)
}

/// Work that would stop the loop goes to the pool.
async fn block(request: Request) -> Result<String, BadNumber> {
    let duration = millis(&request, 100)?;
    #[allow(clippy::disallowed_methods, reason = "stands for work that blocks, in a thread that may")]
    let work = spawn_blocking(move || std::thread::sleep(duration));
    Ok(match work.await {
        Ok(()) => format!("blocked a thread of the pool for {duration:?}\n"),
        Err(error) => format!("{error}\n"),
    })
}

fn millis(request: &Request, default: u64) -> Result<Duration, BadNumber> {
    let Some(text) = request.query_value("ms") else {
        return Ok(Duration::from_millis(default));
    };
    let number = text.parse().ok().filter(|ms| *ms <= 60_000);
    number.map(Duration::from_millis).ok_or(BadNumber)
}

struct BadNumber;

impl IntoResponse for BadNumber {
    fn into_response(self) -> Response {
        let message = "ms has to be a whole number from 0 to 60000, as in ?ms=250\n";
        (StatusCode::BAD_REQUEST, message).into_response()
    }
}
