//! A page of four parts that take 50 to 400 ms each. `/` sends the shell at once and each part
//! as soon as it is ready; `/sequential` builds one part after the other and then sends the
//! page. `/?fail=news` and `/?hang=news` show what becomes of a part that fails.
//!
//! `cargo run --release --example dashboard -- --listen 127.0.0.1:8080`

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use monoloop::header::CONTENT_TYPE;
use monoloop::time::{sleep, timeout};
use monoloop::{Bytes, HeaderValue, Request, Response, Router, Server};
use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const PART_TIMEOUT: Duration = Duration::from_millis(600);

const SHELL: &str = include_str!("dashboard/shell.html");
const PAGE_END: &str = "</main></body></html>\n";

/// In the order in which `/sequential` builds them.
static PARTS: [Part; 4] = [
    Part {
        name: "news",
        takes_ms: 250,
        html: include_str!("dashboard/news.html"),
    },
    Part {
        name: "visitors",
        takes_ms: 50,
        html: include_str!("dashboard/visitors.html"),
    },
    Part {
        name: "orders",
        takes_ms: 400,
        html: include_str!("dashboard/orders.html"),
    },
    Part {
        name: "services",
        takes_ms: 120,
        html: include_str!("dashboard/services.html"),
    },
];

struct Part {
    name: &'static str,
    takes_ms: u64,
    html: &'static str,
}

fn main() -> ExitCode {
    monoloop::cli::main(|config| Server::from_config(&config).run(routes))
}

fn routes() -> Router {
    Router::new()
        .get("/", all_at_once)
        .get("/sequential", one_after_the_other)
}

async fn all_at_once(request: Request) -> Response {
    let request = Rc::new(request);
    let parts: FuturesUnordered<_> = PARTS
        .iter()
        .map(|part| part.render(request.clone()))
        .collect();
    let page = stream::iter([SHELL.to_owned()])
        .chain(parts)
        .chain(stream::iter([PAGE_END.to_owned()]));
    Response::stream(page.map(|piece| Ok::<_, Infallible>(Bytes::from(piece)))).with_header(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    )
}

async fn one_after_the_other(request: Request) -> Response {
    let request = Rc::new(request);
    let mut page = SHELL.to_owned();
    for part in &PARTS {
        page += &part.render(request.clone()).await;
    }
    Response::html(page + PAGE_END)
}

impl Part {
    /// Never fails: a part that cannot be loaded says so in its place on the page.
    async fn render(&'static self, request: Rc<Request>) -> String {
        let loaded = match timeout(PART_TIMEOUT, self.load(&request)).await {
            Ok(loaded) => loaded,
            Err(late) => Err(late.into()),
        };
        let name = self.name;
        match loaded {
            Ok(html) => format!(
                "<div slot=\"{name}\">\n{html}</div>\n<script>arrived(\"{name}\", true)</script>\n"
            ),
            Err(error) => {
                tracing::warn!(part = name, error, "a part failed");
                format!(
                    "<div slot=\"{name}\" class=\"failed\">\n\
                     <p>This part is not available right now.</p>\n\
                     <p><a href=\"?\">Try again</a></p></div>\n\
                     <script>arrived(\"{name}\", false)</script>\n"
                )
            }
        }
    }

    /// Stands for a database or another service.
    async fn load(&self, request: &Request) -> Result<&'static str, Box<dyn Error>> {
        let is_asked_to = |what| {
            request
                .query_value(what)
                .is_some_and(|name| name == self.name)
        };
        sleep(Duration::from_millis(self.takes_ms)).await;
        if is_asked_to("fail") {
            return Err("the service behind it answered 503".into());
        }
        if is_asked_to("hang") {
            pending::<()>().await;
        }
        Ok(self.html)
    }
}
