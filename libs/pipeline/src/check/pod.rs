//! Rules of what a task asks of its pod. Which settings are lawful is known to [`windlass_pod`]; here are their references, and
//! what they have to do with the rest of the task.

use windlass_pod::settings::{self, Rule};
use windlass_proto::v1;

use super::{
    Report as _, ViolationReason,
    field::{self, Shortest},
    scope::Scope,
    text::references,
    walk::StepCheck,
};
use crate::{limits, name, template};

/// The resource that tasks have a setting of their own for.
const MEMORY: &str = "memory";

pub(super) fn check<'a>(task: &'a v1::Task, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    check_image(&task.image, scope, check);
    if !task.cluster.is_empty() {
        field::name(check, &name::STEP, "a cluster", format_args!("task.cluster"), &task.cluster);
    }
    let Some(pod) = &task.pod else { return };
    let problems = settings::check(pod).err().unwrap_or_default();
    for problem in &problems {
        let separator = if problem.path.is_empty() { "" } else { "." };
        let field = format_args!("task.pod{separator}{}", problem.path);
        check.add(reason(problem.rule), field, format_args!("{problem}"));
    }
    if problems.more() > 0 {
        let message =
            format_args!("pod: there are {} more problems; correct those first", problems.more());
        check.add(ViolationReason::TooLarge, format_args!("task.pod"), message);
    }
    if problems.iter().any(|problem| problem.rule == Rule::TooLarge) {
        return;
    }
    settings::each_text(pod, &mut |path, text| {
        references(check, scope, format_args!("task.pod.{path}"), text);
    });
    let deadline = pod.active_deadline.as_ref();
    field::duration(check, "task.pod.active_deadline", deadline, Shortest::MoreThanZero);
    check_memory(task, pod, check);
}

fn reason(rule: Rule) -> ViolationReason {
    match rule {
        Rule::UnknownField => ViolationReason::UnknownField,
        Rule::WrongType => ViolationReason::TypeMismatch,
        Rule::MissingField => ViolationReason::MissingField,
        Rule::InvalidValue => ViolationReason::InvalidText,
        Rule::Reserved => ViolationReason::Misplaced,
        Rule::WrongName => ViolationReason::InvalidName,
        Rule::TooLarge => ViolationReason::TooLarge,
    }
}

fn check_image<'a>(image: &str, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    let field = format_args!("task.image");
    if image.len() > limits::IMAGE_BYTES {
        let message = format_args!(
            "the image has {} bytes, and {} are the most; name it shorter",
            image.len(),
            limits::IMAGE_BYTES
        );
        return check.add(ViolationReason::TooLarge, field, message);
    }
    if !image.is_empty()
        && let Some(wrong) = settings::wrong_image(image)
    {
        check.add(ViolationReason::InvalidText, field, format_args!("{wrong}"));
    }
    references(check, scope, field, image);
}

/// One amount of memory is enough, and only the task's own grows when attempts run out of it.
fn check_memory(task: &v1::Task, pod: &v1::Pod, check: &mut StepCheck<'_, '_>) {
    let has_own = task.resources.is_some_and(|resources| resources.memory_bytes > 0);
    let Some(resources) = pod.resources.as_ref().filter(|_| has_own) else { return };
    for (field, amounts) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        if amounts.contains_key(MEMORY) {
            check.add(
                ViolationReason::Contradiction,
                format_args!("task.pod.resources.{field}[{MEMORY}]"),
                format_args!(
                    "`resources.memory` is both what is set aside and the most that may be used; remove `{MEMORY}` here, or there"
                ),
            );
        }
    }
}

/// Checks a variable that comes from a secret.
pub(super) fn check_secret(at: usize, variable: &v1::EnvVar, check: &mut StepCheck<'_, '_>) {
    let Some(secret) = &variable.secret else { return };
    let field = format_args!("task.env[{at}].secret");
    if !variable.value.is_empty() {
        let message = "has both a value and a secret; remove one";
        check.add(ViolationReason::Contradiction, field, format_args!("{message}"));
    }
    let has_references =
        [&secret.name, &secret.key].iter().any(|text| template::references(text).next().is_some());
    if has_references {
        let message =
            "the secret of a variable is named as it is; references stand in values alone";
        check.add(ViolationReason::InvalidReference, field, format_args!("{message}"));
    } else if let Some(wrong) = settings::wrong_secret(secret) {
        check.add(ViolationReason::InvalidName, field, format_args!("{wrong}"));
    }
}
