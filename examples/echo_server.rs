//! A TCP server that sends back what it gets.
//!
//! `cargo run --release --example echo_server -- --listen 127.0.0.1:7000`

use clap::Parser;
use monoloop::introspect::Socket;
use monoloop::net::{TcpListener, TcpStream};
use monoloop::time::{sleep, timeout};
use monoloop::{Runtime, signal, spawn};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// How long accepting rests when no descriptor is left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long clients may take to finish once the server is asked to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A TCP server that sends back what it gets, until SIGTERM or SIGINT
#[derive(Parser)]
struct Flags {
    /// Address to accept connections on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    listen: SocketAddr,

    /// Unix socket for the `monoloop` command to look in at
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let _log = monoloop::trace::init_default()?;
    monoloop::raise_descriptor_limit();
    let socket = flags.socket.as_ref().map(Socket::open).transpose()?;
    Runtime::new()?.block_on(async {
        if let Some(socket) = &socket {
            socket.show_this_loop();
        }
        let mut shutdown = signal::shutdown()?;
        let listener = TcpListener::bind(flags.listen)
            .map_err(|error| format!("cannot listen at {}: {error}", flags.listen))?;
        tracing::info!(address = %listener.local_addr()?, "listening");

        let clients = Rc::new(());
        let accepting = spawn(accept(listener, clients.clone()));
        let signal = shutdown.recv().await;
        accepting.cancel();
        let drained = timeout(DRAIN_TIMEOUT, wait_until_alone(&clients)).await;
        tracing::info!(%signal, drained = drained.is_ok(), "stopped");
        Ok(())
    })
}

async fn accept(mut listener: TcpListener, clients: Rc<()>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn(echo(stream, clients.clone()))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept; trying again");
                sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

async fn echo(mut stream: TcpStream, _client: Rc<()>) -> io::Result<()> {
    loop {
        let chunk = stream.receive().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        stream.write_all(&chunk).await?;
    }
}

async fn wait_until_alone(clients: &Rc<()>) {
    while Rc::strong_count(clients) > 1 {
        sleep(Duration::from_millis(10)).await;
    }
}
