//! The properties of a bus: what each implementation has to pass, a function for each.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each of them.

mod acknowledged;
mod fixture;
mod heard;

pub use acknowledged::{
    a_dead_letter_never_waits, a_fetch_takes_what_is_there,
    a_full_subject_holds_its_publishers_back, a_full_subject_refuses_what_is_offered,
    a_given_up_fetch_loses_nothing, a_message_dropped_without_a_word_comes_again,
    a_message_put_off_comes_again_and_not_before_its_time, a_message_waits_for_its_consumer,
    an_acknowledged_message_does_not_come_again, headers_come_with_their_message,
    one_consumer_gets_messages_in_order, progress_neither_acknowledges_nor_gives_back,
    two_consumers_share_the_messages, what_a_consumer_had_goes_to_another_one,
};
pub use fixture::Fixture;
pub use heard::{
    a_lagging_listener_is_told, a_message_to_nobody_does_not_wait,
    a_subject_of_the_other_kind_is_refused, every_listener_hears_all_from_then_on,
    headers_are_heard_with_their_message, subjects_do_not_disturb_each_other,
};

/// Makes a test of each property of a bus.
///
/// Takes a closure that returns a future of a pair: something to keep while the test runs, and a
/// [`Fixture`] with a bus that holds nothing. Besides this crate, the tests need `tokio` with
/// `macros` and `rt-multi-thread`.
///
/// ```
/// # use windlass_bus::{Limits, MemoryBus, conformance::Fixture};
/// windlass_bus::conformance_tests!(async || {
///     let limits = Limits { queue: 100, dead_letters: 50, backlog: 20 };
///     ((), Fixture::new(MemoryBus::with_limits(limits), limits))
/// });
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests! { $make;
            a_dead_letter_never_waits
            a_fetch_takes_what_is_there
            a_full_subject_holds_its_publishers_back
            a_full_subject_refuses_what_is_offered
            a_given_up_fetch_loses_nothing
            a_lagging_listener_is_told
            a_message_dropped_without_a_word_comes_again
            a_message_put_off_comes_again_and_not_before_its_time
            a_message_to_nobody_does_not_wait
            a_message_waits_for_its_consumer
            a_subject_of_the_other_kind_is_refused
            an_acknowledged_message_does_not_come_again
            every_listener_hears_all_from_then_on
            headers_are_heard_with_their_message
            headers_come_with_their_message
            one_consumer_gets_messages_in_order
            progress_neither_acknowledges_nor_gives_back
            subjects_do_not_disturb_each_other
            two_consumers_share_the_messages
            what_a_consumer_had_goes_to_another_one
        }
    };
    ($make:expr; $($property:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $property() {
                let (_guard, fixture) = ($make)().await;
                $crate::conformance::$property(fixture).await;
            }
        )+
    };
}
