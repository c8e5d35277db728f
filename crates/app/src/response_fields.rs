//! The header fields of a response, for those who come after the handler.

use crate::Response;
use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue};

impl Response {
    /// Sets a header field to one value, whatever there was of that name.
    pub fn set_header(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove_header(&name);
        self.headers.push((name, value));
    }

    /// Removes all fields of this name.
    pub fn remove_header(&mut self, name: &HeaderName) {
        if *name == CONTENT_TYPE {
            self.content_type = None;
        }
        self.headers.retain(|(field, _)| field != name);
    }

    /// Sets a header field that the handler has not.
    pub(crate) fn set_default(&mut self, name: &HeaderName, value: &HeaderValue) {
        if self.header(name).is_none() {
            self.headers.push((name.clone(), value.clone()));
        }
    }

    /// All values of the fields of this name that are lists, one by one.
    pub(crate) fn list_values(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        let of_name = self.headers.iter().filter(move |(field, _)| field == name);
        of_name
            .flat_map(|(_, value)| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
    }

    /// Says that the response depends on a field of the request, once (RFC 9110 §12.5.5).
    pub(crate) fn add_vary(&mut self, field: &'static str) {
        let is_said = self
            .list_values(&VARY)
            .any(|known| known == b"*" || known.eq_ignore_ascii_case(field.as_bytes()));
        if !is_said {
            self.headers.push((VARY, HeaderValue::from_static(field)));
        }
    }
}
