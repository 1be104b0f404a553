//! Steps of which one of several branches is taken.

use super::notation::check;

#[test]
fn the_first_branch_is_taken_whose_condition_holds() {
    check(
        "c b<-c @c? x:if=false y:if=true z",
        "0 submit    => RUNNING c=open c.x=skipped(condition_false) c.y=ready c.z=skipped(condition_false)
         0 go        => c.y=queued launch:c.y#1
         1 c.y#1 ok  => c=succeeded b=ready c.y=succeeded",
    );
}

#[test]
fn a_branch_without_a_condition_is_taken_where_none_before_it_is() {
    check(
        "c @c? x:if=false y z:if=bad",
        "0 submit; go       => RUNNING c=open c.x=skipped(condition_false) c.y=queued c.z=skipped(condition_false) \
                               launch:c.y#1
         1 c.y#1 exit_code  => FAILED c=failed(step_failed:c.y) c.y=failed(exit_code) c.y#1~failed(exit_code)",
    );
}

#[test]
fn a_choice_of_which_no_branch_is_taken_is_skipped() {
    check(
        "c b<-c d<-c:all_done @c? x:if=false y:if=false",
        "0 submit => RUNNING c=skipped(condition_false) b=skipped(upstream_skipped:c) d=ready \
                     c.x=skipped(condition_false) c.y=skipped(condition_false)",
    );
}

#[test]
fn a_branch_whose_condition_has_no_value_fails_and_no_other_is_taken() {
    for modes in ["", "!stop_on_failure", "!fail_fast"] {
        let cause = if modes.is_empty() { "" } else { "(failure)" };
        check(
            &format!("c @c? x:if=false y:if=bad z {modes}"),
            &format!(
                "0 submit => FAILED{cause} c=failed(step_failed:c.y) c.x=skipped(condition_false) \
                             c.y=failed(expression_invalid) c.z=skipped(condition_false) c.y#1~failed(expression_invalid)"
            ),
        );
    }
}

#[test]
fn a_branch_may_hold_steps() {
    check(
        "c @c? g:if=true l:items=2 @g d e @l* l",
        "0 submit; go         => RUNNING c=open c.g=open c.l=skipped(condition_false) c.g.d=queued c.g.e=queued \
                                 launch:c.g.d#1 launch:c.g.e#1
         1 c.g.d#1 ok; c.g.e#1 ok => SUCCEEDED c=succeeded c.g=succeeded c.g.d=succeeded c.g.e=succeeded",
    );
    check(
        "c @c? g:if=false l:items=2 @g d e @l* l",
        "0 submit; go         => RUNNING c=open c.g=skipped(condition_false) c.l=open(2 items) \
                                 c.g.d=skipped(upstream_skipped:c.g) c.g.e=skipped(upstream_skipped:c.g) \
                                 c.l.0=queued c.l.1=queued launch:c.l.0#1 launch:c.l.1#1
         1 c.l.0#1 ok; c.l.1#1 ok => SUCCEEDED c=succeeded c.l=succeeded c.l.0=succeeded c.l.1=succeeded",
    );
}

#[test]
fn a_choice_in_a_loop_is_made_for_each_item() {
    check(
        "l:items=2 @l* c @c? x:if=false y",
        "0 submit; go  => RUNNING l=open(2 items) l.0.c=open l.0.c.x=skipped(condition_false) l.0.c.y=queued \
                          l.1.c=open l.1.c.x=skipped(condition_false) l.1.c.y=queued \
                          launch:l.0.c.y#1 launch:l.1.c.y#1",
    );
}
