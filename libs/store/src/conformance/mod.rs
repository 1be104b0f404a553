//! The properties of a store: what each implementation has to pass, a function for each.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each of them.

mod amendment;
mod cache;
mod claim;
mod fixture;
mod group;
mod growth;
mod limit;
mod list;
mod order;
mod step;
mod version;

pub use amendment::{
    a_commit_to_another_version_amends_nothing, a_run_is_as_the_latest_amendment_has_it,
};
pub use cache::{
    of_many_results_the_newest_are_kept, results_are_forgotten_by_pipeline_and_step,
    results_are_kept_by_namespace_and_key_whatever_becomes_of_their_run,
    results_that_are_too_old_go_when_others_come,
};
pub use claim::{
    an_attempt_belongs_to_who_claimed_it_first, claims_go_with_their_run,
    of_those_who_race_for_an_attempt_one_has_it,
};
pub use group::{
    a_lease_is_held_by_one_until_it_is_released, a_member_leaves_step_by_step,
    a_member_with_a_short_time_shortens_nobody_elses,
    an_installation_keeps_its_first_number_of_partitions, members_are_read_by_one_who_is_none,
    of_those_who_race_for_leases_each_lease_has_one, what_is_not_renewed_is_free_after_its_time,
};
pub use growth::{
    a_commit_that_is_refused_adds_no_step, a_growing_run_is_read_as_it_was_at_one_version,
    a_grown_run_leaves_nothing_when_it_is_removed, a_run_grows_by_the_steps_that_its_loops_get,
    commits_of_a_batch_build_upon_the_growth_of_those_before,
};
pub use limit::{
    a_limit_that_nobody_has_configured_is_held_by_one, a_rate_lets_no_more_start_than_it_says,
    limits_are_granted_as_the_engine_grants_them, limits_are_taken_together_and_in_turn,
    nothing_is_held_where_nobody_has_asked,
    of_those_who_race_for_a_limit_as_many_have_it_as_it_allows,
    of_very_many_who_wait_the_first_come_first, the_size_of_a_limit_can_be_changed,
    who_is_known_to_hold_a_limit_holds_it,
};
pub use list::{
    a_page_is_not_disturbed_by_runs_that_are_added, every_filter_leaves_out_what_it_should,
    the_newest_run_comes_first,
};
pub use order::{
    a_run_is_active_until_it_has_ended_and_its_orders_are_taken, an_inbox_has_bounds,
    finished_runs_are_those_that_ended_and_have_no_orders, orders_wait_in_the_order_they_came,
};
pub use step::{
    attempts_and_outputs_replace_earlier_ones, steps_are_read_by_range_and_by_name,
    steps_of_a_large_run_are_read_as_they_were_committed, steps_that_do_not_exist_are_refused,
};
pub use version::{
    a_commit_to_another_version_changes_nothing, a_created_run_is_read_as_it_was_submitted,
    a_read_is_of_one_version, a_removed_run_leaves_nothing_but_a_memory, a_run_is_created_once,
    a_run_is_removed_at_its_version_only, commits_of_a_batch_succeed_or_fail_on_their_own,
    nothing_is_known_of_an_unknown_run, of_those_who_race_for_a_version_one_wins,
    time_goes_forward,
};

/// Makes a test of each property of a store.
///
/// Takes a closure that returns a future of a pair: something to keep while the test runs, and an empty store. Besides
/// this crate, the tests need `tokio` with `macros` and `rt-multi-thread`.
///
/// ```
/// # use windlass_store::MemoryStore;
/// windlass_store::conformance_tests!(async || ((), MemoryStore::new()));
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests! { $make;
            a_commit_to_another_version_amends_nothing
            a_commit_to_another_version_changes_nothing
            a_commit_that_is_refused_adds_no_step
            a_created_run_is_read_as_it_was_submitted
            a_grown_run_leaves_nothing_when_it_is_removed
            a_growing_run_is_read_as_it_was_at_one_version
            a_lease_is_held_by_one_until_it_is_released
            a_limit_that_nobody_has_configured_is_held_by_one
            a_member_leaves_step_by_step
            a_member_with_a_short_time_shortens_nobody_elses
            a_page_is_not_disturbed_by_runs_that_are_added
            a_rate_lets_no_more_start_than_it_says
            a_read_is_of_one_version
            a_removed_run_leaves_nothing_but_a_memory
            a_run_grows_by_the_steps_that_its_loops_get
            a_run_is_as_the_latest_amendment_has_it
            a_run_is_active_until_it_has_ended_and_its_orders_are_taken
            a_run_is_created_once
            a_run_is_removed_at_its_version_only
            an_attempt_belongs_to_who_claimed_it_first
            an_inbox_has_bounds
            an_installation_keeps_its_first_number_of_partitions
            attempts_and_outputs_replace_earlier_ones
            claims_go_with_their_run
            commits_of_a_batch_build_upon_the_growth_of_those_before
            commits_of_a_batch_succeed_or_fail_on_their_own
            every_filter_leaves_out_what_it_should
            finished_runs_are_those_that_ended_and_have_no_orders
            limits_are_granted_as_the_engine_grants_them
            limits_are_taken_together_and_in_turn
            members_are_read_by_one_who_is_none
            nothing_is_held_where_nobody_has_asked
            nothing_is_known_of_an_unknown_run
            of_many_results_the_newest_are_kept
            of_those_who_race_for_a_limit_as_many_have_it_as_it_allows
            of_those_who_race_for_a_version_one_wins
            of_those_who_race_for_an_attempt_one_has_it
            of_those_who_race_for_leases_each_lease_has_one
            of_very_many_who_wait_the_first_come_first
            orders_wait_in_the_order_they_came
            results_are_forgotten_by_pipeline_and_step
            results_are_kept_by_namespace_and_key_whatever_becomes_of_their_run
            results_that_are_too_old_go_when_others_come
            steps_are_read_by_range_and_by_name
            steps_of_a_large_run_are_read_as_they_were_committed
            steps_that_do_not_exist_are_refused
            the_newest_run_comes_first
            the_size_of_a_limit_can_be_changed
            time_goes_forward
            what_is_not_renewed_is_free_after_its_time
            who_is_known_to_hold_a_limit_holds_it
        }
    };
    ($make:expr; $($property:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $property() {
                let (_guard, store) = ($make)().await;
                $crate::conformance::$property(::std::sync::Arc::new(store)).await;
            }
        )+
    };
}
