//! Which events become lines.

use tracing_subscriber::EnvFilter;

use super::access::ACCESS_TARGET;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads directives such as `info,monoloop=debug`.
///
/// # Errors
///
/// A phrase that says what was expected. A lone word that is no level is refused
/// although the syntax has it as "all of this target": `inof` would silence
/// everything but a target that does not exist.
pub(crate) fn parse(directives: &str) -> Result<EnvFilter, String> {
    let mut words = directives
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .peekable();
    if words.peek().is_none() {
        return Err("expected a level or target=level directives; \"off\" logs nothing".to_owned());
    }
    let lone = words.find(|word| !word.contains(['=', '[']) && !is_level(word));
    if let Some(word) = lone {
        let levels = LEVELS.join(", ");
        return Err(format!(
            "expected a level ({levels}) or target=level directives parted by commas; \
             {word:?} is no level, and to log a target of that name write \"{word}=trace\""
        ));
    }
    let directives = directives
        .split(',')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(",");
    EnvFilter::builder().parse(directives).map_err(|error| {
        format!("expected a level or target=level directives parted by commas ({error})")
    })
}

/// The filter with the switch of the access log in it. The switch has the last
/// word in both directions: it is its own key because it is a decision of its own.
pub(super) fn with_access(directives: &str, access: bool) -> Result<EnvFilter, String> {
    let level = if access { "info" } else { "off" };
    let switch = format!("{ACCESS_TARGET}={level}");
    let switch = switch
        .parse()
        .expect("the target is a path and the level is one of the six");
    Ok(parse(directives)?.add_directive(switch))
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}
