//! Forms, queries and paths as types.

use super::{RequestError, RequestPart, media_type};
use crate::Request;
use form_urlencoded::{Serializer, parse};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

impl Request {
    /// The body as a value, read from a form (`application/x-www-form-urlencoded`). A field that
    /// may come several times is a `Vec`.
    ///
    /// # Errors
    /// 415 when it is declared as something else, or is compressed; 422 when it does not fit the
    /// type, with the field; else what the body's own error calls for.
    ///
    /// # Cancel safety
    /// The pieces read so far are lost.
    pub async fn form<T: DeserializeOwned>(&mut self) -> Result<T, RequestError> {
        let body = self.body_of(&media_type::FORM).await?;
        read(RequestPart::Form, &body)
    }

    /// The query as a value, decoded as a form is: bytes that are no UTF-8 come out as U+FFFD.
    /// Without a query it is read from an empty one.
    ///
    /// ```
    /// use monoloop::{Request, RequestError};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     #[serde(default)]
    ///     from: u32,
    ///     tag: Vec<String>,
    /// }
    ///
    /// async fn list(request: Request) -> Result<String, RequestError> {
    ///     let page: Page = request.query_as()?;
    ///     Ok(format!("from {}, {} tags\n", page.from, page.tag.len()))
    /// }
    /// ```
    ///
    /// # Errors
    /// 400 when it does not fit the type, with the field.
    pub fn query_as<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        read(
            RequestPart::Query,
            self.query().unwrap_or_default().as_bytes(),
        )
    }

    /// The parameters of the path as a value, whose fields have their names.
    ///
    /// # Errors
    /// 400 when one is no UTF-8 or does not fit its field.
    pub fn path_as<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        let mut form = Serializer::new(String::new());
        for name in self.param_names() {
            let encoded = self.param_encoded(name).unwrap_or_default();
            let text = percent_decode_str(encoded).decode_utf8();
            let text = text.map_err(|error| RequestError::NotUtf8 {
                part: RequestPart::Path,
                at: error.valid_up_to(),
            })?;
            form.append_pair(name, &text);
        }
        read(RequestPart::Path, form.finish().as_bytes())
    }
}

fn read<T: DeserializeOwned>(part: RequestPart, form: &[u8]) -> Result<T, RequestError> {
    let pairs = serde_html_form::Deserializer::new(parse(form));
    serde_path_to_error::deserialize(pairs).map_err(|error| RequestError::form(part, &error))
}
