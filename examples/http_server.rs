//! An HTTP server with a route for each thing one asks of a server.
//!
//! `cargo run --release --example http_server -- --listen 127.0.0.1:8080`

use clap::Parser;
use futures_util::{StreamExt, stream};
use monoloop::time::sleep;
use monoloop::websocket::{Options, Origins, WebSocket};
use monoloop::{
    BodyError, Bytes, IntoResponse, Json, Request, Response, Router, Server, StatusCode, cli,
    spawn_blocking,
};
use serde::Serialize;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// An HTTP server with a route for each thing one asks of a server
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    server: cli::ServerArgs,

    /// Serve /stall, which stops the event loop on purpose
    #[arg(long)]
    allow_stall: bool,
}

fn main() -> ExitCode {
    let Flags {
        server,
        allow_stall,
    } = Flags::parse();
    cli::run(server, move |config| {
        Server::from_config(&config).run(move || routes(allow_stall))
    })
}

pub(crate) fn routes(allow_stall: bool) -> Router {
    let router = Router::new()
        .get("/", echo)
        .post("/", echo)
        .get("/plaintext", async |_| Response::text("Hello, World!"))
        .get("/json", json)
        .post("/echo", echo)
        .get("/users/{id}", user)
        .get("/delay", delay)
        .get("/stream", stream_of_chunks)
        .get("/block", block)
        .get("/ws", echo_messages);
    match allow_stall {
        true => router.get("/stall", stall),
        false => router,
    }
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

async fn echo(request: Request) -> Result<Bytes, BodyError> {
    request.into_bytes().await
}

async fn user(request: Request) -> String {
    format!("user {}\n", request.param("id").unwrap_or_default())
}

async fn delay(request: Request) -> Result<String, BadNumber> {
    let delay = millis(&request)?;
    sleep(delay).await;
    Ok(format!("waited {delay:?}\n"))
}

/// One chunk every 100 ms.
async fn stream_of_chunks(_: Request) -> Response {
    Response::stream(stream::iter(1..=5).then(async |number| {
        sleep(Duration::from_millis(100)).await;
        Ok::<_, io::Error>(Bytes::from(format!("chunk {number} of 5\n")))
    }))
}

/// Every message comes back, text as text and binary as binary.
async fn echo_messages(request: Request) -> Response {
    let options = Options {
        message_bytes_max: 16 * 1024 * 1024,
        frame_bytes_max: 16 * 1024 * 1024,
        // Nobody's secrets are here.
        origins: Origins::Any,
        ..Options::default()
    };
    options.accept(&request, async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.receive().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

/// Work that would stop the loop goes to the pool.
async fn block(request: Request) -> Result<Response, BadNumber> {
    let duration = millis(&request)?;
    #[allow(
        clippy::disallowed_methods,
        reason = "stands for work that blocks, in a thread that may"
    )]
    let work = spawn_blocking(move || std::thread::sleep(duration));
    Ok(match work.await {
        Ok(()) => format!("blocked a thread of the pool for {duration:?}\n").into_response(),
        Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
}

/// What `/block` gives to the pool, done on the loop: everybody waits, and the watchdog says so.
async fn stall(request: Request) -> Result<String, BadNumber> {
    let duration = millis(&request)?;
    stop_the_loop(duration);
    Ok(format!("stopped the loop for {duration:?}\n"))
}

#[inline(never)]
#[allow(
    clippy::disallowed_methods,
    reason = "it shows what happens when somebody does"
)]
fn stop_the_loop(duration: Duration) {
    std::thread::sleep(duration);
}

/// The `ms` of the query; 100 when there is none.
fn millis(request: &Request) -> Result<Duration, BadNumber> {
    let number = match request.query_value("ms") {
        Some(text) => text.parse().ok().filter(|ms| *ms <= 60_000),
        None => Some(100),
    };
    number.map(Duration::from_millis).ok_or(BadNumber)
}

struct BadNumber;

impl IntoResponse for BadNumber {
    fn into_response(self) -> Response {
        let message = "ms has to be a whole number from 0 to 60000, as in ?ms=250\n";
        (StatusCode::BAD_REQUEST, message).into_response()
    }
}
