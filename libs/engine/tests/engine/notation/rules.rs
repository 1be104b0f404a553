//! The retry rules of tables.

use windlass_engine::policy::{RetryAction, RetryRule};

/// Reads rules: `75+100-110+sig9+lost:fail/out_of_memory:ignore`.
pub(super) fn rules(text: &str) -> Vec<RetryRule> {
    text.split('/').map(rule).collect()
}

fn rule(text: &str) -> RetryRule {
    let (listed, action) = text.split_once(':').expect("a rule says what is done");
    let action = match action {
        "retry" => RetryAction::Retry,
        "fail" => RetryAction::Fail,
        "ignore" => RetryAction::Ignore,
        _ => panic!("what is {action}?"),
    };
    let (reasons, exit_codes, signals) = (Vec::new(), Vec::new(), Vec::new());
    let mut rule = RetryRule { reasons, exit_codes, signals, action };
    for listed in listed.split('+') {
        if let Some(signal) = listed.strip_prefix("sig")
            && let Ok(signal) = signal.parse()
        {
            rule.signals.push(signal);
        } else if listed.starts_with(|first: char| first.is_ascii_digit()) {
            let (first, last) = listed.split_once('-').unwrap_or((listed, listed));
            let code = |text: &str| text.parse().expect("an exit code is a number");
            rule.exit_codes.push(code(first)..=code(last));
        } else {
            rule.reasons.push(super::failure(listed).reason);
        }
    }
    rule
}
