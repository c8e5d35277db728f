//! Walks the fields of an event or a span and hands each on as text or as a
//! number, the message apart.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};

/// Writes one field in the manner of a format.
pub(super) trait WriteField {
    /// A value that is text.
    fn text(&mut self, name: &str, value: &str);
    /// A value that stands as it is: a number, `true` or `false`.
    fn bare(&mut self, name: &str, value: fmt::Arguments<'_>);
}

/// Visits fields. The message goes through `text` under its own name.
pub(super) struct Visitor<'a, F> {
    format: &'a mut F,
    /// Where values with a `Display` or `Debug` of their own are spelled out.
    scratch: String,
}

impl<'a, F: WriteField> Visitor<'a, F> {
    pub(super) fn new(format: &'a mut F) -> Self {
        Visitor {
            format,
            scratch: String::new(),
        }
    }
}

impl<F: WriteField> Visit for Visitor<'_, F> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.scratch.clear();
        // A value that fails to spell itself costs its rest, not the line.
        if write!(self.scratch, "{value:?}").is_err() {
            self.scratch.push_str("<failed to format>");
        }
        self.format.text(field.name(), &self.scratch);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.format.text(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        // With its causes: the last of them is what went wrong.
        self.scratch.clear();
        let mut failed = write!(self.scratch, "{value}").is_err();
        let mut source = value.source();
        while let Some(cause) = source {
            failed |= write!(self.scratch, ": {cause}").is_err();
            source = cause.source();
        }
        if failed {
            self.scratch.push_str("<failed to format>");
        }
        self.format.text(field.name(), &self.scratch);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.format.bare(field.name(), format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.format.bare(field.name(), format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.format.bare(field.name(), format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.format.bare(field.name(), format_args!("{value}"));
        } else {
            self.format.text(field.name(), &value.to_string());
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        // Text: few readers of JSON keep more than 53 bits of a number.
        self.format.text(field.name(), &value.to_string());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.format.text(field.name(), &value.to_string());
    }
}
