//! The files below a directory, for browsers and download programs.
//!
//! `cargo run --release --example files -- --listen 127.0.0.1:8080 --root public`

use clap::Parser;
use monoloop::{Files, HeaderValue, Router, Server, cli};
use std::path::PathBuf;
use std::process::ExitCode;

/// Serves the files below a directory
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    server: cli::ServerArgs,

    /// The directory
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

fn main() -> ExitCode {
    let Flags { server, root } = Flags::parse();
    let files = move || {
        Files::new(&root)
            .precompressed(true)
            .cache_control(HeaderValue::from_static("no-cache"))
    };
    cli::run(server, move |config| {
        Server::from_config(&config).run(move || Router::new().files("/", files()))
    })
}
