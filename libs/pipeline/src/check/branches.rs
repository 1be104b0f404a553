//! Rules of branches.

use windlass_proto::v1;

use super::{
    List, Place, Report as _, ViolationReason, field, names::Names, scope::Scope, step,
    walk::StepCheck,
};
use crate::limits;

/// Checks the branches of the step `name`; `scope` is what is seen from there.
pub(super) fn check<'a>(
    branches: &'a [v1::Step],
    name: &'a str,
    scope: &Scope<'a, '_>,
    check: &mut StepCheck<'a, '_>,
) {
    let field = format_args!("branches.branches");
    if branches.is_empty() {
        check.add(
            ViolationReason::EmptyGroup,
            field,
            format_args!("has no branches; add at least one"),
        );
    }
    field::count(check, field, "branches", branches.len(), limits::BRANCHES);
    let place = check.place;
    let list = List::Branches(&place);
    Names::of_list(list, branches, &mut check.walk.violations);
    let within = scope.within(name);
    let scope = within.branches(branches);
    for (at, branch) in branches.iter().enumerate() {
        let place = Place { list, at, name: &branch.name };
        let check = &mut StepCheck { walk: &mut *check.walk, place };
        refuse_order(branch, check);
        if branch.when.is_empty() && at + 1 < branches.len() {
            check.add(
                ViolationReason::Unreachable,
                format_args!("when"),
                format_args!(
                    "has no condition, so that no branch after it can ever run; give it `when`, or put it last"
                ),
            );
        }
        step::check(branch, &scope, check);
    }
}

/// Reports what would say when a branch begins: that is the choice's.
fn refuse_order(branch: &v1::Step, check: &mut StepCheck<'_, '_>) {
    for (field, is_given) in
        [("depends_on", !branch.depends_on.is_empty()), ("trigger_rule", branch.trigger_rule != 0)]
    {
        if is_given {
            check.add(
                ViolationReason::Misplaced,
                format_args!("{field}"),
                format_args!(
                    "a branch has no `{field}`; give it to the step that has the branches"
                ),
            );
        }
    }
}
