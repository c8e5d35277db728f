//! Lines for machines: one JSON object each, the event's fields beside ours.

use std::fmt;
use std::io;

use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Visitor, WriteField};
use super::request_id;

/// Keys that are ours. A field of the same name gets `field.` before it: two equal
/// keys in one object mean something else to every reader.
const RESERVED: [&str; 4] = ["timestamp", "level", "target", "spans"];

/// The form of an event.
pub(super) struct Json {
    pub(super) request_id: request_id::Source,
}

/// The form of a span's fields: `,"key":value` for each.
pub(super) struct JsonFields;

impl<S> FormatEvent<S, JsonFields> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut has_id = metadata.fields().field(request_id::FIELD).is_some();

        write_head(&mut writer, *metadata.level(), metadata.target())?;
        let mut fields = Fields {
            writer: &mut writer,
            reserved: &RESERVED,
            result: Ok(()),
        };
        event.record(&mut Visitor::new(&mut fields));

        if let Some(scope) = ctx.event_scope() {
            let mut separator = ",\"spans\":[";
            for span in scope.from_root() {
                fields.writer.write_str(separator)?;
                separator = ",";
                let extensions = span.extensions();
                let of_span = extensions.get::<FormattedFields<JsonFields>>();
                let of_span = of_span.map_or("", |fields| fields.as_str());
                write!(
                    fields.writer,
                    "{{\"name\":{}{of_span}}}",
                    Quoted(span.name())
                )?;
                has_id |= span.fields().field(request_id::FIELD).is_some()
                    && of_span.contains(request_id::FIELD);
            }
            if separator == "," {
                fields.writer.write_char(']')?;
            }
        }
        if !has_id {
            (self.request_id)(&mut |id| fields.text(request_id::FIELD, &id.to_string()));
        }
        fields.result?;
        writer.write_str("}\n")
    }
}

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut format = Fields {
            writer: &mut writer,
            reserved: &["name"],
            result: Ok(()),
        };
        fields.record(&mut Visitor::new(&mut format));
        // A span is not worth losing over its fields.
        Ok(())
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Opens the object: time, level and target.
pub(super) fn write_head(writer: &mut Writer<'_>, level: Level, target: &str) -> fmt::Result {
    writer.write_str("{\"timestamp\":\"")?;
    SystemTime.format_time(writer)?;
    write!(
        writer,
        "\",\"level\":\"{level}\",\"target\":{}",
        Quoted(target)
    )
}

struct Fields<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    reserved: &'a [&'a str],
    result: fmt::Result,
}

impl WriteField for Fields<'_, '_> {
    fn text(&mut self, name: &str, value: &str) {
        self.bare(name, format_args!("{}", Quoted(value)));
    }

    fn bare(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let name = name.strip_prefix("r#").unwrap_or(name);
        let written = if self.reserved.contains(&name) {
            write!(self.writer, ",\"field.{name}\":{value}")
        } else {
            write!(self.writer, ",{}:{value}", Quoted(name))
        };
        self.result = self.result.and(written);
    }
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde_json::to_writer(Utf8(f), self.0).map_err(|_| fmt::Error)
    }
}

/// Lets serde_json, which writes bytes, write into a formatter.
struct Utf8<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl io::Write for Utf8<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
