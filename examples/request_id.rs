//! One request id in every line of the log, whoever logs it: nobody passes it along.
//!
//! `cargo run --release --example request_id -- --listen 127.0.0.1:8080`

use futures_util::future::try_join3;
use monoloop::time::sleep;
use monoloop::{REQUEST_ID, Request, Router, Server, StatusCode, spawn, spawn_blocking};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    monoloop::cli::main(|config| {
        Server::from_config(&config).run(|| Router::new().get("/", account))
    })
}

async fn account(_: Request) -> Result<String, StatusCode> {
    tracing::info!("asking two tasks and a thread");
    let (user, orders) = (spawn(read_user()), spawn(read_orders()));
    let invoice = spawn_blocking(|| tracing::info!("printed the invoice"));
    try_join3(user, orders, invoice)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let id = REQUEST_ID.get().expect("every handler has one");
    Ok(format!("look for {id} in the log\n"))
}

async fn read_user() {
    sleep(Duration::from_millis(10)).await;
    tracing::info!("read the user");
}

async fn read_orders() {
    sleep(Duration::from_millis(5)).await;
    tracing::info!("read the orders");
}
