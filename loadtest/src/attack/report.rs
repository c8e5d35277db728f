//! What an attack run prints: the plan, a row for each attack, and what went wrong.

use std::fmt::Write;

use crate::attack::Attack;
use crate::attack::campaign::Campaign;
use crate::attack::plan::AttackPlan;
use crate::attack::verdict::{Judgement, Verdict, WellBehaved};
use crate::format;

/// What there is, one a line.
pub(super) fn render_list(attacks: impl Iterator<Item = &'static dyn Attack>) -> String {
    let mut text = String::new();
    for attack in attacks {
        line(
            &mut text,
            format_args!("{:<17}{}", attack.name(), attack.about()),
        );
        let reasons = attack.ends_in().join(" or ");
        line(&mut text, format_args!("{:<17}ends in {reasons}", ""));
    }
    text
}

pub(super) fn render_plan(plan: &AttackPlan) -> String {
    let mut text = String::new();
    let count = match plan.attacks.len() {
        1 => "1 attack".to_owned(),
        many => format!("{many} attacks"),
    };
    line(
        &mut text,
        format_args!(
            "{count} on http://{}, up to {} hostile connections each\n\
             beside them {} clients, GET {} {} times a second",
            plan.target.authority,
            format::count(plan.connections as u64),
            format::count(plan.clients),
            plan.target.path,
            format::rate(plan.rate),
        ),
    );
    let of = plan.timeouts;
    line(
        &mut text,
        format_args!(
            "expected timeouts: head {}, idle {}, body {}, write {}",
            humantime::format_duration(of.head),
            humantime::format_duration(of.idle),
            humantime::format_duration(of.body),
            humantime::format_duration(of.write),
        ),
    );
    text
}

pub(super) fn render_quiet(quiet: &WellBehaved) -> String {
    let mut text = format!(
        "\nquiet: {} answered, p50 {}, p99 {}, max {}\n",
        format::count(quiet.answered),
        format::duration(quiet.p50),
        format::duration(quiet.p99),
        format::duration(quiet.max)
    );
    if let Some(fault) = &quiet.client_fault {
        line(&mut text, format_args!("? {fault}"));
        line(
            &mut text,
            format_args!("? The bounds that are made of it mean little."),
        );
    }
    text
}

pub(super) fn render_heading() -> String {
    format!(
        "\n{:<17}{:>7}  {:<24} {:<19}{:>7}{:>7}{:>10}{:>10}  {:<26} {:<19} verdict\n",
        "attack",
        "hostile",
        "ended",
        "cut off after",
        "served",
        "errors",
        "p99",
        "allowed",
        "ledger",
        "memory, peak, after",
    )
}

/// A row, and below it what went wrong.
pub(super) fn render_verdict(verdict: &Verdict) -> String {
    let mut text = String::new();
    let (served, errors, p99) = match &verdict.well_behaved {
        Some(clients) => (
            format::count(clients.answered),
            format::count(clients.errors),
            format::duration(clients.p99),
        ),
        None => ("-".into(), "-".into(), "-".into()),
    };
    line(
        &mut text,
        format_args!(
            "{:<17}{:>7}  {:<24} {:<19}{served:>7}{errors:>7}{p99:>10}{:>10}  {:<26} {:<19} {}",
            verdict.name,
            format::count(verdict.hostile),
            counts(&verdict.endings),
            cut_off(verdict),
            format::duration(verdict.p99_max),
            ledger(verdict),
            memory(verdict),
            verdict.judgement().name(),
        ),
    );
    for fault in &verdict.faults {
        line(&mut text, format_args!("  ! {fault}"));
    }
    let client_fault = verdict.well_behaved.as_ref();
    if let Some(fault) = client_fault.and_then(|clients| clients.client_fault.as_ref()) {
        line(&mut text, format_args!("  ? {fault}"));
    }
    text
}

/// What it came to, and what was not looked at.
pub(super) fn render_result(plan: &AttackPlan, result: &Campaign) -> String {
    let mut text = String::new();
    let count = |judgement| {
        let verdicts = result.verdicts.iter();
        verdicts.filter(|it| it.judgement() == judgement).count()
    };
    let words: Vec<String> = [
        (Judgement::Passed, "passed"),
        (Judgement::Failed, "failed"),
        (Judgement::Unverified, "unverified"),
        (Judgement::Invalid, "invalid"),
    ]
    .into_iter()
    .map(|(judgement, word)| (count(judgement), word))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    if result.is_interrupted {
        line(
            &mut text,
            format_args!(
                "\nINTERRUPTED: {} of {} attacks were run, the last not to its end.",
                result.verdicts.len(),
                plan.attacks.len()
            ),
        );
    }
    line(&mut text, format_args!("\n{}", words.join(", ")));
    let mut unverified: Vec<&String> = result
        .verdicts
        .iter()
        .flat_map(|verdict| &verdict.unverified)
        .collect();
    unverified.sort();
    unverified.dedup();
    for what in unverified {
        line(&mut text, format_args!("? unverified: {what}"));
    }
    text
}

fn counts(counts: &[(String, u64)]) -> String {
    let words: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{} {name}", format::count(*count)))
        .collect();
    words.join(", ")
}

fn cut_off(verdict: &Verdict) -> String {
    match verdict.cut_off {
        Some([least, _, most]) if least == most => format::duration(least),
        Some([least, _, most]) => {
            format!("{} - {}", format::duration(least), format::duration(most))
        }
        None => "-".into(),
    }
}

fn ledger(verdict: &Verdict) -> String {
    let Some(books) = &verdict.books else {
        return "-".into();
    };
    let (before, after) = (&books.before.connections, &books.after.connections);
    let of_attack = |(reason, _): &(String, u64)| books.reasons.contains(&reason.as_str());
    let grown: Vec<_> = after
        .grown_since(before)
        .into_iter()
        .filter(of_attack)
        .collect();
    counts(&grown)
}

fn memory(verdict: &Verdict) -> String {
    match verdict.memory {
        Some(memory) => format!(
            "{}, {}",
            format::bytes(memory.peak_bytes as f64),
            format::bytes(memory.after_bytes as f64)
        ),
        None => "-".into(),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::verdict::tests::verdict;

    #[test]
    fn a_row_has_it_all_and_faults_follow() {
        let mut verdict = verdict();
        verdict.faults.push("memory did not come back".into());
        let text = render_verdict(&verdict);
        for part in [
            "slowloris-head       200  200 408",
            "2.00 s",
            "1,000      0   2.00 ms   7.00 ms  200 header_timeout",
            "9.00 MB, 7.00 MB",
            "FAILED\n  ! memory did not come back\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn every_attack_is_listed_with_what_it_does_and_where_it_ends() {
        let text = render_list(crate::attack::all());
        assert_eq!(text.lines().count(), 2 * crate::attack::all().count());
        assert!(text.contains("slowloris-head   sends a field"), "{text}");
        assert!(
            text.contains("ends in header_timeout or idle_timeout"),
            "{text}"
        );
    }
}
