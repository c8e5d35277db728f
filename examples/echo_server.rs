//! A TCP server that sends back what it gets.
//!
//! `cargo run --release --example echo_server -- --listen 127.0.0.1:7000`

use clap::Parser;
use monoloop::net::{TcpListener, TcpStream};
use monoloop::{Runtime, signal, spawn};
use std::error::Error;
use std::net::SocketAddr;

#[derive(Parser)]
struct Flags {
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1:7000")]
    listen: SocketAddr,
}

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    let _log = monoloop::trace::init_default()?;
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(flags.listen)?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        drop(spawn(accept(listener)));
        let signal = signal::shutdown()?.recv().await;
        tracing::info!(%signal, "stopped");
        Ok(())
    })
}

async fn accept(mut listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn(echo(stream))),
            Err(error) => tracing::warn!(%error, "cannot accept"),
        }
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let chunk = stream.receive().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        stream.write_all(&chunk).await?;
    }
}
