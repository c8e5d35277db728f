//! Reads of a request what a handler wants of it: JSON, text, parameters as types.
//!
//! Each says what it does not like in words for whoever sent the request, and none sends back
//! what it was sent unescaped.

mod error;
#[cfg(feature = "forms")]
mod form;
mod media_type;

#[cfg(feature = "multipart")]
pub(crate) use error::shown;
pub use error::{RequestError, RequestPart};
#[cfg(feature = "multipart")]
pub(crate) use media_type::MediaType;

use crate::Request;
use bytes::Bytes;
use media_type::Expected;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::mem;
use std::str::FromStr;

impl Request {
    /// The body as a value, read from JSON.
    ///
    /// The body has to be declared as `application/json`, or as another type that ends in `+json`
    /// (RFC 6839 §3.1): a page of another site cannot send that without being asked by the
    /// browser first, which it can with `text/plain`. Its size is bounded as that of any body is.
    ///
    /// ```
    /// use monoloop::{Json, Request, RequestError};
    ///
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// async fn create(mut request: Request) -> Result<Json<User>, RequestError> {
    ///     let user: User = request.json().await?;
    ///     Ok(Json(user))
    /// }
    /// ```
    ///
    /// # Errors
    /// 415 when it is declared as something else, or is compressed; 400 when it is no JSON, and
    /// 422 when it is JSON that does not fit the type (RFC 9110 §15.5.21), both with line and
    /// column, the latter with the field; else what the body's own error calls for.
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, RequestError> {
        let body = self.body_of(&media_type::JSON).await?;
        if body.is_empty() {
            return Err(RequestError::Empty {
                part: RequestPart::Json,
            });
        }
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| RequestError::json(&error))?;
        json.end()
            .map_err(|error| RequestError::json_syntax(&error))?;
        Ok(value)
    }

    /// The body as text, which is UTF-8 unless it says otherwise, and nothing else is read.
    ///
    /// # Errors
    /// 415 when it is declared to be in another encoding, or is compressed, 400 when it is not
    /// UTF-8; else what the body's own error calls for.
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn text(&mut self) -> Result<String, RequestError> {
        let body = self.body_of(&media_type::TEXT).await?;
        String::from_utf8(body.into()).map_err(|error| RequestError::NotUtf8 {
            part: RequestPart::Text,
            at: error.utf8_error().valid_up_to(),
        })
    }

    /// The part of the path that stands for `{name}` in the route, percent-decoded and parsed.
    ///
    /// ```
    /// # async fn user(request: monoloop::Request) -> Result<String, monoloop::RequestError> {
    /// let id: u64 = request.param_as("id")?;
    /// # Ok(id.to_string())
    /// # }
    /// ```
    ///
    /// # Errors
    /// 400 when it is no UTF-8 or cannot be parsed.
    ///
    /// # Panics
    /// When the route has no parameter of this name.
    pub fn param_as<T>(&self, name: &str) -> Result<T, RequestError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let encoded = self.param_encoded(name);
        let Some(encoded) = encoded else {
            panic!("the route has no parameter {{{name}}}");
        };
        let text = percent_decode_str(encoded).decode_utf8();
        let text = text.map_err(|error| RequestError::NotUtf8 {
            part: RequestPart::Path,
            at: error.valid_up_to(),
        })?;
        text.parse().map_err(|error: T::Err| RequestError::Value {
            part: RequestPart::Path,
            field: name.to_owned(),
            place: None,
            reason: error.to_string(),
        })
    }

    /// All of the body, when it is declared to be what is read of it.
    async fn body_of(&mut self, expected: &Expected) -> Result<Bytes, RequestError> {
        self.check_content_coding()?;
        expected.check(self.header("content-type"))?;
        Ok(mem::take(self.body()).bytes().await?)
    }

    /// A body that is compressed would be misread, and to unpack it is an invitation: a thousand
    /// bytes can stand for a million. So it is refused, and the refusal says that.
    pub(crate) fn check_content_coding(&self) -> Result<(), RequestError> {
        let codings = self.head().headers().filter(is_content_encoding);
        let mut names = codings.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        match names.all(|name| name.trim_ascii().eq_ignore_ascii_case(b"identity")) {
            true => Ok(()),
            false => Err(RequestError::ContentCoding),
        }
    }
}

fn is_content_encoding((name, _): &(&str, &[u8])) -> bool {
    name.eq_ignore_ascii_case("content-encoding")
}
