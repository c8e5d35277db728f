//! Static files: what lies below a directory, and nothing else.

mod coding;
mod conditions;
mod content_type;
mod lookup;
mod open;
mod path;
mod range;
mod reading;
mod settings;
mod validators;

pub use open::Symlinks;

use crate::accept_encoding::Coding;
use crate::handler::{BoxFuture, Handler};
use crate::{IntoResponse, Request, Response, Router};
use conditions::Conditions;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LOCATION, RETRY_AFTER, VARY,
};
use http::{HeaderValue, Method, StatusCode};
use lookup::{About, Answer, Asked, Content, Kind, content_range, look_up};
use monoloop_runtime::spawn_blocking;
use path::FilePath;
use reading::{FileStream, OpenFiles};
use settings::Settings;
use std::path::PathBuf;
use std::sync::Arc;

/// Files that are sent at a time, the small ones not counted: each holds a descriptor, and a piece
/// of 64 KiB for a peer that does not read. nginx sets no bound below that of its descriptors.
const OPEN_FILES_MAX: usize = 1024;

/// The files below a directory, as a handler.
///
/// ```no_run
/// use monoloop::{Files, HeaderValue, Router};
///
/// let files = Files::new("public").cache_control(HeaderValue::from_static("max-age=3600"));
/// let router = Router::new().files("/static", files);
/// ```
///
/// It may also be given to a route whose last parameter is the path (`/{site}/{*path}`), or be the
/// [fallback](Router::fallback), and then the whole path names the file.
///
/// # What is served
/// Regular files, to GET and HEAD. Of a directory its index, `index.html`; one that is asked for
/// without a slash at its end is answered with a redirect. There are no listings. What is
/// not there, not readable, hidden or out of bounds is a 404: which it is, is nobody's business.
///
/// A path is percent-decoded once, into UTF-8. It names nothing when one of its parts is `.` or
/// `..`, is empty, begins with a dot (`/.well-known/` is the exception), or holds a slash, a backslash
/// or a zero byte; on Windows also when it is a device, a drive or a stream.
/// [Symbolic links](Symlinks) are not followed. The way to the file is looked up by the system
/// in one call that does not leave the root (`openat2`, else step by step from open directory to open
/// directory), so that whoever swaps a directory for a link meanwhile gains nothing. On systems that
/// are not Unix the path is looked at first and opened then; let nobody else write below the root there.
///
/// # What is told about it
/// `Content-Type` by extension, `Content-Length`, `Last-Modified`, `Accept-Ranges`, and an `ETag` made
/// of date and length, so that it is the same after a restart and on each of several machines that have
/// the same files. It is weak while a file is so new that it may change once more without its date
/// changing. A file dated before 1980-01-02, as build tools do it, has neither tag nor date: all its
/// versions would look alike. `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`,
/// `If-Range` and `Range` are heeded as RFC 9110 §13 and §14 have them; parts that overlap are
/// sent once, and who asks for more than 32 gets the whole.
///
/// # What it costs
/// One job of the [blocking pool](crate::spawn_blocking) for what is at most 64 KiB long: looked up,
/// opened and read at once. Longer ones take one more for each further 64 KiB, read once the peer
/// has taken what was before: a slow one holds one piece. A file that becomes shorter while it
/// is sent ends in a closed connection, one that grows is cut where its announced length ends. Replace
/// files by renaming new ones over them, and none is sent half old, half new.
#[derive(Debug, Clone)]
pub struct Files {
    settings: Arc<Settings>,
    open: OpenFiles,
}

impl Files {
    /// The files below `root`, looked up anew at each request: it may be a symbolic link that a
    /// deployment swaps. A relative one counts from the process's working directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Files {
            settings: Arc::new(Settings {
                root: root.into(),
                symlinks: Symlinks::default(),
                shows_dotfiles: false,
                index: Some("index.html".to_owned()),
                has_copies: false,
                cache_control: None,
                open_files_max: OPEN_FILES_MAX,
                content_types: Vec::new(),
            }),
            open: OpenFiles::default(),
        }
    }

    /// Whether symbolic links below the root are followed. Default: [`Symlinks::Refuse`].
    #[must_use]
    pub fn symlinks(self, symlinks: Symlinks) -> Self {
        self.set(|settings| settings.symlinks = symlinks)
    }

    /// Serves names that begin with a dot as well, such as `.git` and `.env`. Default: only what is
    /// below `/.well-known/` (RFC 8615).
    #[must_use]
    pub fn dotfiles(self, are_shown: bool) -> Self {
        self.set(|settings| settings.shows_dotfiles = are_shown)
    }

    /// The file that stands for its directory; `None` for none. Default: `index.html`.
    #[must_use]
    pub fn index(self, name: Option<&str>) -> Self {
        self.set(|settings| settings.index = name.map(str::to_owned))
    }

    /// Sends `a.js.br` or `a.js.gz` in place of `a.js` to those who take it, if it is there and not
    /// older. All answers then vary by `Accept-Encoding`. Default: no.
    #[must_use]
    pub fn precompressed(self, are_there: bool) -> Self {
        self.set(|settings| settings.has_copies = are_there)
    }

    /// `Cache-Control` of all files. Default: none; caches then guess from the date.
    #[must_use]
    pub fn cache_control(self, value: HeaderValue) -> Self {
        self.set(|settings| settings.cache_control = Some(value))
    }

    /// The content type of files with this extension (without its dot), in place of the one that is
    /// known.
    #[must_use]
    pub fn content_type(self, extension: &str, value: HeaderValue) -> Self {
        self.set(|settings| {
            settings.content_types.push((extension.to_owned(), value));
        })
    }

    /// Files of more than 64 KiB that one loop sends at a time; beyond it the answer is 503 with
    /// `Retry-After`. Each holds a descriptor, and 64 KiB for a slow peer. Default 1,024.
    #[must_use]
    pub fn open_files_max(self, files: usize) -> Self {
        self.set(|settings| settings.open_files_max = files.max(1))
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    async fn answer(self, request: Request, path: String) -> Response {
        let is_get = match *request.method() {
            Method::GET => true,
            Method::HEAD => false,
            _ => return method_not_allowed(),
        };
        let Some(path) = FilePath::parse(&path, self.settings.shows_dotfiles) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let asked = Asked {
            path,
            is_get,
            conditions: Conditions::of(request.head(), is_get),
            codings: self.codings(&request),
        };
        let settings = self.settings.clone();
        match spawn_blocking(move || look_up(&settings, asked)).await {
            Ok(answer) => self.respond(answer, &request),
            Err(panicked) => panicked.into_response(),
        }
    }

    fn codings(&self, request: &Request) -> Vec<Coding> {
        match self.settings.has_copies {
            true => coding::accepted(request),
            false => Vec::new(),
        }
    }

    fn respond(&self, answer: Answer, request: &Request) -> Response {
        match answer {
            Answer::Content(content) => self.send(content),
            Answer::NotModified(about) => {
                let mut response = Response::new(StatusCode::NOT_MODIFIED);
                self.describe(&mut response, &about);
                response
            }
            Answer::PreconditionFailed => StatusCode::PRECONDITION_FAILED.into_response(),
            Answer::Unsatisfiable(len) => StatusCode::RANGE_NOT_SATISFIABLE
                .into_response()
                .with_header(CONTENT_RANGE, ascii(format!("bytes */{len}"))),
            Answer::Directory => redirect_to_slash(request),
            Answer::NotFound => StatusCode::NOT_FOUND.into_response(),
            Answer::Exhausted(error) => {
                tracing::warn!(%error, "a file could not be opened now");
                busy()
            }
            Answer::Failed(error) => {
                let root = self.settings.root.display();
                tracing::error!(%error, %root, path = request.path(), "a file cannot be read");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// 200 or 206. The body of an answer to HEAD is never looked at, only its length.
    fn send(&self, content: Content) -> Response {
        let Content {
            about,
            kind,
            len,
            first,
            rest,
        } = content;
        let mut response = match rest {
            None if first.len() as u64 == len => Response::bytes(first),
            None => Response::sized_stream(len, Nothing),
            Some(rest) => {
                let Some(open) = self.open.open(self.settings.open_files_max) else {
                    tracing::debug!("more files are asked for than may be sent at a time");
                    return busy();
                };
                Response::sized_stream(len, FileStream::new(first, rest, open))
            }
        };
        self.describe(&mut response, &about);
        let content_type = match kind {
            Kind::Whole => about.content_type,
            Kind::Part(range, len) => {
                response.status = StatusCode::PARTIAL_CONTENT;
                response.add_header(CONTENT_RANGE, ascii(content_range(&range, len)));
                about.content_type
            }
            Kind::Parts { boundary } => {
                response.status = StatusCode::PARTIAL_CONTENT;
                ascii(format!("multipart/byteranges; boundary={boundary}"))
            }
        };
        response.add_header(CONTENT_TYPE, content_type);
        if let Some(coding) = about.coding {
            response.add_header(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        response.add_header(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        response
    }

    /// What a 304 tells like a 200 (RFC 9110 §15.4.5).
    fn describe(&self, response: &mut Response, about: &About) {
        if let Some(tag) = &about.validators.etag {
            response.add_header(ETAG, ascii(tag.field()));
        }
        if let Some(modified) = about.validators.modified {
            response.add_header(LAST_MODIFIED, ascii(httpdate::fmt_http_date(modified)));
        }
        if let Some(cache_control) = &self.settings.cache_control {
            response.add_header(CACHE_CONTROL, cache_control.clone());
        }
        if self.settings.has_copies {
            response.add_header(VARY, HeaderValue::from_static("accept-encoding"));
        }
    }
}

/// The last parameter of its route names the file; without one, the whole path does.
impl Handler for Files {
    type Future = BoxFuture<Response>;

    fn call(&self, request: Request) -> BoxFuture<Response> {
        let path = request.path_rest().to_owned();
        Box::pin(self.clone().answer(request, path))
    }
}

/// The root itself, at the route that ends in a slash.
struct AtRoot(Files);

impl Handler for AtRoot {
    type Future = BoxFuture<Response>;

    fn call(&self, request: Request) -> BoxFuture<Response> {
        Box::pin(self.0.clone().answer(request, String::new()))
    }
}

impl Router {
    /// Serves files below `prefix`, `"/"` for all paths that no other route matches.
    ///
    /// ```
    /// use monoloop::{Files, Router};
    ///
    /// let router = Router::new().files("/static", Files::new("public"));
    /// assert!(router.check().is_ok());
    /// ```
    #[must_use]
    pub fn files(self, prefix: &str, files: Files) -> Self {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let router = self
            .get(&format!("{prefix}/"), AtRoot(files.clone()))
            .get(&format!("{prefix}/{{*path}}"), files);
        match prefix {
            "" => router,
            _ => router.get(prefix, async |request: Request| redirect_to_slash(&request)),
        }
    }
}

/// To the same path with a slash behind it. Relative, and begun with `./`: so it can lead nowhere but
/// beside what was asked for, whatever its name looks like (RFC 3986 §4.2).
fn redirect_to_slash(request: &Request) -> Response {
    let name = request.path().rsplit('/').next().unwrap_or("");
    let query = request
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let Ok(location) = HeaderValue::try_from(format!("./{name}/{query}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    Response::new(StatusCode::MOVED_PERMANENTLY).with_header(LOCATION, location)
}

fn method_not_allowed() -> Response {
    StatusCode::METHOD_NOT_ALLOWED
        .into_response()
        .with_header(ALLOW, HeaderValue::from_static("GET, HEAD"))
}

fn busy() -> Response {
    StatusCode::SERVICE_UNAVAILABLE
        .into_response()
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("digits, letters and marks, as a header may hold them")
}

/// In the place of a body that is not sent.
struct Nothing;

impl futures_core::Stream for Nothing {
    type Item = std::io::Result<bytes::Bytes>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(None)
    }
}
