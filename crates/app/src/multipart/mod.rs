//! Forms with files: `multipart/form-data` (RFC 7578), read piece by piece.

mod error;
mod feed;
mod file_name;
mod limits;

pub use error::MultipartError;
pub use limits::MultipartLimits;

use crate::extract::MediaType;
use crate::{Body, Request, RequestError};
use bytes::{Bytes, BytesMut};
use feed::{BodyStream, Feed};
use futures_core::Stream;
use multer::{Constraints, SizeLimit};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Longest boundary, in bytes (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// A form with files, field after field.
///
/// Nothing is read ahead: a handler that writes a file slowly makes the peer wait. See
/// [`MultipartLimits`] for what is refused.
pub struct Multipart {
    parser: multer::Multipart<'static>,
    feed: Feed,
    body: Body,
    limits: MultipartLimits,
    /// Fields that have begun.
    fields: usize,
    /// Bytes that came since the field before, all of which are kept.
    head_bytes: usize,
    current: Option<multer::Field<'static>>,
    failed: Option<MultipartError>,
}

/// A field of a form, which may be a file.
#[derive(Debug)]
pub struct MultipartField<'a> {
    form: &'a mut Multipart,
}

impl Request {
    /// The body as a form with files, with the default [`MultipartLimits`].
    ///
    /// ```
    /// use monoloop::{MultipartError, Request};
    ///
    /// async fn upload(mut request: Request) -> Result<String, MultipartError> {
    ///     let mut form = request.multipart()?;
    ///     let mut bytes = 0;
    ///     while let Some(mut field) = form.next_field().await? {
    ///         while let Some(piece) = field.chunk().await? {
    ///             bytes += piece.len();
    ///         }
    ///     }
    ///     Ok(format!("{bytes} bytes\n"))
    /// }
    /// ```
    ///
    /// # Errors
    /// 415 when it is declared as something else, or is compressed; 400 when `Content-Type` has
    /// no boundary.
    pub fn multipart(&mut self) -> Result<Multipart, MultipartError> {
        self.multipart_with(MultipartLimits::default())
    }

    /// The body as a form with files, within these limits.
    ///
    /// # Errors
    /// As for [`multipart`](Request::multipart).
    pub fn multipart_with(&mut self, limits: MultipartLimits) -> Result<Multipart, MultipartError> {
        self.check_content_coding()?;
        let declared = self.header("content-type").map(MediaType::parse);
        let is_form = |declared: &MediaType<'_>| declared.is("multipart/form-data");
        let Some(declared) = declared.filter(is_form) else {
            return Err(MultipartError::Request(RequestError::MediaType {
                expected: "multipart/form-data",
                is_declared: self.header_bytes("content-type").is_some(),
            }));
        };
        let boundary = declared.param("boundary").unwrap_or_default();
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return Err(MultipartError::Boundary);
        }
        Ok(Multipart::new(&boundary, mem::take(self.body()), limits))
    }
}

impl Multipart {
    fn new(boundary: &str, body: Body, limits: MultipartLimits) -> Self {
        let (feed, stream): (Feed, BodyStream) = feed::pair();
        let sizes = SizeLimit::new()
            .whole_stream(limits.bytes_max)
            .per_field(limits.field_bytes_max);
        let constraints = Constraints::new().size_limit(sizes);
        Multipart {
            parser: multer::Multipart::with_constraints(stream, boundary, constraints),
            feed,
            body,
            limits,
            fields: 0,
            head_bytes: 0,
            current: None,
            failed: None,
        }
    }

    /// The next field, `None` behind the last. What was not read of the one before is thrown
    /// away.
    ///
    /// # Errors
    /// See [`MultipartError`]; once there was one there is nothing else.
    ///
    /// # Cancel safety
    /// Nothing is lost but the rest of the field before.
    pub async fn next_field(&mut self) -> Result<Option<MultipartField<'_>>, MultipartError> {
        while self.current.is_some() {
            poll_fn(|cx| self.poll_chunk(cx)).await?;
        }
        let field = poll_fn(|cx| self.poll_next_field(cx)).await?;
        let Some(field) = field else {
            return Ok(None);
        };
        self.current = Some(field);
        self.head_bytes = 0;
        self.fields += 1;
        if self.fields > self.limits.fields_max {
            let limit = self.limits.fields_max;
            return Err(self.fail(MultipartError::TooManyFields { limit }));
        }
        Ok(Some(MultipartField { form: self }))
    }

    fn poll_next_field(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<multer::Field<'static>>, MultipartError>> {
        loop {
            self.check()?;
            if let Poll::Ready(polled) = self.parser.poll_next_field(cx) {
                return Poll::Ready(polled.map_err(|error| self.fail(error.into())));
            }
            let limit = self.limits.field_head_bytes_max;
            if self.head_bytes > limit {
                return Poll::Ready(Err(self.fail(MultipartError::HeadTooLarge { limit })));
            }
            self.head_bytes += ready!(self.poll_more(cx))?;
        }
    }

    /// The next piece of the field; at its end there is no current one any more.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, MultipartError>> {
        loop {
            self.check()?;
            let Some(field) = &mut self.current else {
                return Poll::Ready(Ok(None));
            };
            match Pin::new(field).poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => return Poll::Ready(Ok(Some(piece))),
                Poll::Ready(None) => self.current = None,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(self.fail(error.into())));
                }
                Poll::Pending => {
                    ready!(self.poll_more(cx))?;
                }
            }
        }
    }

    /// Gives the parser, which has used up what it had, the next piece of the body; returns its
    /// size.
    fn poll_more(&mut self, cx: &Context<'_>) -> Poll<Result<usize, MultipartError>> {
        if self.feed.has_ended() {
            // It was told, and still waits.
            return Poll::Ready(Err(self.fail(MultipartError::Incomplete)));
        }
        Poll::Ready(match ready!(self.body.poll_chunk(cx)) {
            Some(Ok(piece)) => {
                let bytes = piece.len();
                self.feed.push(piece);
                Ok(bytes)
            }
            Some(Err(error)) => Err(self.fail(MultipartError::Request(error.into()))),
            None => {
                self.feed.end();
                Ok(0)
            }
        })
    }

    fn check(&self) -> Result<(), MultipartError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: MultipartError) -> MultipartError {
        self.current = None;
        self.failed.get_or_insert(error).clone()
    }
}

impl MultipartField<'_> {
    fn current(&self) -> Option<&multer::Field<'static>> {
        self.form.current.as_ref()
    }

    /// The name of the field; empty when it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.current()
            .and_then(multer::Field::name)
            .unwrap_or_default()
    }

    /// The name of the file on the machine of whoever sends it, in whatever words they like:
    /// to be shown, not to be opened. See
    /// [`file_name_cleaned`](MultipartField::file_name_cleaned).
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.current()?.file_name()
    }

    /// What is left of the file's name when it has to name a file here: its last part, without
    /// control characters and what means something to a file system, no longer than 255 bytes;
    /// `None` when nothing is left. Two files may still have the same name, and a name may still
    /// end in something that a server would run: a name of your own is better.
    #[must_use]
    pub fn file_name_cleaned(&self) -> Option<String> {
        file_name::cleaned(self.file_name()?)
    }

    /// What the file is said to be.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        let value = self.current()?.headers().get(http::header::CONTENT_TYPE)?;
        value.to_str().ok()
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// See [`MultipartError`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        poll_fn(|cx| self.form.poll_chunk(cx)).await
    }

    /// All of the field in one piece.
    ///
    /// # Errors
    /// 413 when it is longer than `collected_bytes_max`, else see [`MultipartError`].
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn bytes(mut self) -> Result<Bytes, MultipartError> {
        let limit = self.form.limits.collected_bytes_max;
        let mut all = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            if all.len() + piece.len() > limit {
                let limit = limit as u64;
                return Err(self.form.fail(MultipartError::FieldTooLarge { limit }));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// All of the field as text, in UTF-8.
    ///
    /// # Errors
    /// 400 when it is not UTF-8, else as for [`bytes`](MultipartField::bytes).
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn text(self) -> Result<String, MultipartError> {
        let name = self.name().to_owned();
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).map_err(|_| MultipartError::NotUtf8 { name })
    }
}

impl Stream for MultipartField<'_> {
    type Item = Result<Bytes, MultipartError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.form.poll_chunk(cx).map(Result::transpose)
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}
