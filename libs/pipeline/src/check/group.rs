//! Rules of a group.

use windlass_proto::v1;

use super::{
    List, Report as _, ViolationReason, arguments,
    names::Names,
    outputs, parameters,
    scope::{Scope, Whole},
    step,
    walk::{PartOf, StepCheck},
};

/// Checks the group of the step `name`; `scope` is what is seen from there.
pub(super) fn check<'a>(
    group: &'a v1::Group,
    name: &'a str,
    scope: &Scope<'a, '_>,
    check: &mut StepCheck<'a, '_>,
) {
    if group.steps.is_empty() {
        check.add(
            ViolationReason::EmptyGroup,
            format_args!("group.steps"),
            format_args!("the group has no steps; add at least one"),
        );
    }
    let place = check.place;
    let list = List::Group(&place);
    let names = Names::of_list(list, &group.steps, &mut check.walk.violations);
    if let Some(inputs) = &group.inputs {
        let report = &mut PartOf { report: check, field: "group.inputs" };
        parameters::check(&inputs.parameters, report);
        let parameters = parameters::types(&inputs.parameters);
        arguments::check(inputs, &parameters, scope, check);
        let whole = Whole::Group { in_exit: scope.is_exit() };
        let within = Scope::whole(whole, &names, &parameters);
        step::check_all(list, &group.steps, &within, check.walk);
    } else {
        let within = scope.within(name);
        step::check_all(list, &group.steps, &within.group(&names), check.walk);
    }
    outputs::check(&group.outputs, &names, &mut PartOf { report: check, field: "group" });
}
