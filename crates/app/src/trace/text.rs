//! Lines for people: `time LEVEL span{..}: target: message key=value ...`.

use std::fmt::{self, Write};

use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::escape::{Escaped, Quoted, is_plain};
use super::fields::{Visitor, WriteField};
use super::request_id;

/// The form of an event.
pub(super) struct Text {
    pub(super) request_id: request_id::Source,
}

/// The form of a span's fields.
pub(super) struct TextFields;

impl<S> FormatEvent<S, TextFields> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, TextFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut has_id = metadata.fields().field(request_id::FIELD).is_some();

        write_head(&mut writer, *metadata.level())?;
        if let Some(scope) = ctx.event_scope() {
            for span in scope.from_root() {
                write!(writer, " {}", span.name())?;
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<TextFields>>();
                if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                    write!(writer, "{{{}}}", fields.trim_start())?;
                    has_id |= span.fields().field(request_id::FIELD).is_some()
                        && fields.contains(request_id::FIELD);
                }
                writer.write_char(':')?;
            }
        }
        write!(
            writer,
            " {}:",
            Dim(metadata.target(), writer.has_ansi_escapes())
        )?;

        let mut fields = Fields {
            writer: &mut writer,
            result: Ok(()),
        };
        event.record(&mut Visitor::new(&mut fields));
        if !has_id {
            (self.request_id)(&mut |id| fields.text(request_id::FIELD, &id.to_string()));
        }
        fields.result?;
        writer.write_char('\n')
    }
}

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        fields.record(&mut Visitor::new(&mut Fields {
            writer: &mut writer,
            result: Ok(()),
        }));
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

/// Writes the time and the level.
pub(super) fn write_head(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    let ansi = writer.has_ansi_escapes();
    let mut time = String::with_capacity(32);
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    write!(writer, "{} {}", Dim(&time, ansi), Coloured(level, ansi))
}

struct Fields<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    result: fmt::Result,
}

impl WriteField for Fields<'_, '_> {
    fn text(&mut self, name: &str, value: &str) {
        let written = match name {
            "message" => self
                .writer
                .write_char(' ')
                .and_then(|()| Escaped(self.writer).write_str(value)),
            _ if is_plain(value) => self.bare_result(name, format_args!("{value}")),
            _ => self
                .bare_result(name, format_args!("\""))
                .and_then(|()| Quoted(self.writer).write_str(value))
                .and_then(|()| self.writer.write_char('"')),
        };
        self.result = self.result.and(written);
    }

    fn bare(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let written = self.bare_result(name, value);
        self.result = self.result.and(written);
    }
}

impl Fields<'_, '_> {
    fn bare_result(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.writer.has_ansi_escapes() {
            write!(self.writer, " \x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}")
        } else {
            write!(self.writer, " {name}={value}")
        }
    }
}

struct Dim<'a>(&'a str, bool);

impl fmt::Display for Dim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim(text, true) => write!(f, "\x1b[2m{text}\x1b[0m"),
            Dim(text, false) => f.write_str(text),
        }
    }
}

struct Coloured(Level, bool);

impl fmt::Display for Coloured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coloured(level, ansi) = *self;
        if !ansi {
            return write!(f, "{level:>5}");
        }
        let colour = match level {
            Level::ERROR => 31,
            Level::WARN => 33,
            Level::INFO => 32,
            Level::DEBUG => 34,
            Level::TRACE => 35,
        };
        write!(f, "\x1b[{colour}m{level:>5}\x1b[0m")
    }
}
