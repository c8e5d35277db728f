//! A form, a cookie and an upload.
//!
//! `cargo run --release --example web -- --listen 127.0.0.1:8080`

use monoloop::{
    Compression, HeaderValue, MultipartError, RateLimit, Request, RequestError, Response, Router,
    SecurityHeaders, Server, StatusCode, header, with_middleware,
};
use serde::Deserialize;
use std::process::ExitCode;

const PAGE: &str = r#"<!doctype html><title>web</title>
<form method="post" action="/name"><input name="name"><button>Say hello</button></form>
<form method="post" action="/upload" enctype="multipart/form-data"><input type="file" name="file">
<button>Weigh</button></form>"#;

fn main() -> ExitCode {
    monoloop::cli::main(|config| Server::from_config(&config).run(routes))
}

fn routes() -> Router {
    Router::new()
        .middleware(SecurityHeaders::new())
        .middleware(Compression::new())
        .get("/", |_| async { Response::html(PAGE) })
        .post("/name", remember)
        .get("/hello", greet)
        .post("/upload", with_middleware(RateLimit::per_minute(30), weigh))
}

#[derive(Deserialize)]
struct Visitor {
    name: String,
}

async fn remember(mut request: Request) -> Result<Response, RequestError> {
    let visitor: Visitor = request.form().await?;
    Ok(Response::new(StatusCode::SEE_OTHER)
        .with_header(header::LOCATION, HeaderValue::from_static("/hello"))
        .with_cookie(("name", visitor.name)))
}

async fn greet(request: Request) -> String {
    let name = request.cookie("name");
    format!("hello {}\n", name.as_deref().unwrap_or("stranger"))
}

async fn weigh(mut request: Request) -> Result<String, MultipartError> {
    let mut form = request.multipart()?;
    let mut scales = String::new();
    while let Some(mut file) = form.next_field().await? {
        let name = file.file_name_cleaned().unwrap_or("no file".into());
        let mut bytes = 0;
        while let Some(piece) = file.chunk().await? {
            bytes += piece.len();
        }
        scales += &format!("{name}: {bytes} bytes\n");
    }
    Ok(scales)
}
