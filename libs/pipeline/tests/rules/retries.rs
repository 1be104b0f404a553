//! What is done about failures.

use windlass_engine::{
    graph::NodeIndex,
    policy::RetryAction,
    reason::{Failure, FailureReason},
};
use windlass_pipeline::{check::check, compile};
use windlass_proto::v1::{self, Reason, step::Work};

use super::{pipeline, step};

fn rule(reasons: &[Reason], action: v1::RetryAction) -> v1::RetryRule {
    let reasons = reasons.iter().map(|reason| (*reason).into()).collect();
    v1::RetryRule { reasons, action: action.into(), ..v1::RetryRule::default() }
}

fn with_codes(codes: &[(i32, Option<i32>)], action: v1::RetryAction) -> v1::RetryRule {
    let range =
        |(first, last): &(i32, Option<i32>)| v1::ExitCodeRange { first: *first, last: *last };
    v1::RetryRule { exit_codes: codes.iter().map(range).collect(), ..rule(&[], action) }
}

/// A step that is retried thrice but for what rules say.
fn retried(rules: Vec<v1::RetryRule>) -> v1::Step {
    let retry = v1::RetryPolicy { limit: 3, rules, ..v1::RetryPolicy::default() };
    v1::Step { retry: Some(Box::new(retry)), ..step("a") }
}

#[track_caller]
fn refused(step: v1::Step, expected: &[(&str, &str)]) {
    let violations = check(&pipeline(vec![step])).expect_err("a rule is broken");
    let violations = violations.iter();
    let told: Vec<_> = violations
        .map(|it| (it.reason.as_str(), it.field.trim_start_matches("steps[0].retry.")))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    let fail = v1::RetryAction::Fail;
    let mut nothing = rule(&[Reason::Lost], fail);
    nothing.action = 9;
    refused(retried(vec![nothing]), &[("UNKNOWN_VALUE", "rules[0].action")]);
    refused(
        retried(vec![rule(&[Reason::Lost], v1::RetryAction::Unspecified)]),
        &[("EMPTY_RULE", "rules[0].action")],
    );
    let mut unknown = rule(&[Reason::Lost], fail);
    unknown.reasons.push(99);
    refused(retried(vec![unknown]), &[("UNKNOWN_VALUE", "rules[0].reasons[1]")]);
    refused(
        retried(vec![with_codes(&[(7, Some(6)), (1, Some(256)), (i32::MIN, None)], fail)]),
        &[
            ("OUT_OF_RANGE", "rules[0].exit_codes[0]"),
            ("OUT_OF_RANGE", "rules[0].exit_codes[1]"),
            ("OUT_OF_RANGE", "rules[0].exit_codes[2]"),
        ],
    );
    let signals = vec![0, 65, i32::MAX, -1];
    refused(
        retried(vec![v1::RetryRule { signals, ..rule(&[Reason::Lost], fail) }]),
        &[
            ("OUT_OF_RANGE", "rules[0].signals[0]"),
            ("OUT_OF_RANGE", "rules[0].signals[1]"),
            ("OUT_OF_RANGE", "rules[0].signals[2]"),
            ("OUT_OF_RANGE", "rules[0].signals[3]"),
        ],
    );
}

#[test]
fn reasons_that_no_attempt_fails_by_are_refused() {
    let not_of_attempts = [
        Reason::Unspecified,
        Reason::UpstreamFailed,
        Reason::RunCancelled,
        Reason::StepFailed,
        Reason::ConditionFalse,
        Reason::ExpressionInvalid,
        Reason::Rejected,
        Reason::Withdrawn,
    ];
    for reason in not_of_attempts {
        refused(
            retried(vec![rule(&[reason], v1::RetryAction::Fail)]),
            &[("UNKNOWN_VALUE", "rules[0].reasons[0]")],
        );
    }
}

#[test]
fn memory_that_is_no_number_is_refused() {
    for factor in [f64::NAN, f64::INFINITY, -2.0, 0.999] {
        let mut step = retried(Vec::new());
        step.retry.as_mut().unwrap().memory_factor = factor;
        let Some(Work::Task(task)) = &mut step.work else { unreachable!() };
        task.resources = Some(v1::Resources { memory_bytes: 1 });
        refused(step, &[("OUT_OF_RANGE", "memory_factor")]);
    }
}

#[test]
fn rules_that_share_a_part_stand_beside_each_other() {
    use v1::RetryAction::{Fail, Ignore, Retry};
    let rules = vec![
        with_codes(&[(75, None), (100, Some(110))], Retry),
        with_codes(&[(100, Some(120))], Ignore),
        rule(&[Reason::ExitCode, Reason::Lost], Fail),
        v1::RetryRule { signals: vec![9, 64], ..rule(&[Reason::Lost], Ignore) },
    ];
    let pipeline = pipeline(vec![retried(rules)]);
    assert_eq!(check(&pipeline), Ok(()));
    let graph = compile::graph(&pipeline, 0).unwrap();
    let action = |reason, exit_code, signal| {
        let failure = Failure { reason, message: String::new(), exit_code, signal };
        graph.action(NodeIndex(0), &failure)
    };
    for (code, expected) in [
        (75, RetryAction::Retry),
        (110, RetryAction::Retry),
        (111, RetryAction::Ignore),
        (121, RetryAction::Fail),
    ] {
        assert_eq!(action(FailureReason::ExitCode, Some(code), None), expected, "{code}");
    }
    assert_eq!(action(FailureReason::Lost, None, None), RetryAction::Fail);
    assert_eq!(action(FailureReason::Signal, None, Some(64)), RetryAction::Ignore);
    assert_eq!(action(FailureReason::Signal, None, Some(8)), RetryAction::Retry);
    assert_eq!(action(FailureReason::OutOfMemory, None, Some(9)), RetryAction::Retry);
}
