//! How servers read requests: they look at the bytes before they decode them.
//!
//! An entry of a list takes two bytes on its way where it is empty, and up to 200 once it is decoded: a message of 16 MiB
//! could take up more than 1 GiB before a service sees it. So what can never be accepted is refused by its bytes, and all
//! that this takes is the message itself. What is only a little wrong is let through, for the service to say what is wrong.

mod census;

use std::{collections::HashMap, marker::PhantomData};

use bytes::{Buf as _, Bytes};
use prost::{DecodeError, Message};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;
use tonic_types::{ErrorDetails, StatusExt as _};

pub use census::STEPS_MAX;
use census::{Census, each_field};

use crate::v1;

/// The domain of all reasons why something is refused.
const ERROR_DOMAIN: &str = "windlass";

/// Why a request is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no such message.
    #[error(
        "the request cannot be read: {}; generate the client from the server's version of the contract, and let values lie less \
         deep in each other", problem(.0)
    )]
    Malformed(#[from] DecodeError),
    /// It is larger than any such request need be.
    #[error("the request has {bytes} bytes, and {most} are the most; see what it is filled with")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
    /// It holds more than can be accepted.
    #[error("the request has more than {most} {what}; {advice}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it may have.
        most: usize,
        /// What to do.
        advice: &'static str,
    },
}

impl From<Unreadable> for Status {
    /// As a service refuses: docs/errors.md lists the reasons.
    fn from(unreadable: Unreadable) -> Self {
        let (code, reason) = match unreadable {
            Unreadable::Malformed(_) => (Code::InvalidArgument, "INVALID_REQUEST"),
            Unreadable::TooLarge { .. } | Unreadable::TooMany { .. } => {
                (Code::ResourceExhausted, "TOO_LARGE")
            }
        };
        let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
        Self::with_error_details(code, unreadable.to_string(), details)
    }
}

/// What is wrong, and in which field of the request: without those that lie in that one, which may be a hundred.
fn problem(error: &DecodeError) -> String {
    let text = error.to_string();
    let parts: Vec<&str> = text.split(": ").collect();
    // What was done, then fields from the innermost one on, then what is wrong, in words.
    let is_field = |part: &&&str| !part.contains(' ');
    let fields = parts.iter().skip(1).take_while(is_field).count();
    parts[fields.max(1).min(parts.len() - 1)..].join(": ")
}

/// A message that servers take.
pub trait Request: Message + Default + 'static {
    /// The most bytes it may have, where that is less than what servers take of any message. Most requests are a few
    /// words.
    const BYTES_MAX: usize = 64 << 10;

    /// Looks at the bytes, which are at most [`BYTES_MAX`](Self::BYTES_MAX), before they are decoded.
    fn inspect(_encoded: &[u8]) -> Result<(), Unreadable> {
        Ok(())
    }

    /// Reads a request, where what it holds can be accepted at all.
    fn read(encoded: Bytes) -> Result<Self, Unreadable>
    where
        Self: Sized,
    {
        if encoded.len() > Self::BYTES_MAX {
            return Err(Unreadable::TooLarge { bytes: encoded.len(), most: Self::BYTES_MAX });
        }
        Self::inspect(&encoded)?;
        Ok(Self::decode(encoded)?)
    }
}

impl Request for v1::SubmitRunRequest {
    const BYTES_MAX: usize = usize::MAX;

    fn inspect(encoded: &[u8]) -> Result<(), Unreadable> {
        Census::default().submission(encoded)
    }
}

impl Request for v1::SubmitLargeRunRequest {
    const BYTES_MAX: usize = usize::MAX;

    fn inspect(encoded: &[u8]) -> Result<(), Unreadable> {
        let mut census = Census::default();
        each_field(encoded, |field, value| match field {
            1 => census.submission(value),
            2 => each_field(value, |field, value| match field {
                1 => census.step(value, 0),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }
}

impl Request for v1::GetRunRequest {}
impl Request for v1::ListRunsRequest {}
impl Request for v1::ListStepsRequest {}
impl Request for v1::ListAttemptsRequest {}
impl Request for v1::ExplainRunRequest {}
impl Request for v1::WatchRunRequest {}
impl Request for v1::CancelRunRequest {}
impl Request for v1::PauseRunRequest {}
impl Request for v1::ResumeRunRequest {}
impl Request for v1::RetryRunRequest {}
impl Request for v1::DecideApprovalRequest {}
impl Request for v1::RerunRunRequest {}
impl Request for v1::DeleteRunRequest {}
impl Request for v1::ClearCacheRequest {}
impl Request for v1::SetLimitRequest {}
impl Request for v1::UnsetLimitRequest {}
impl Request for v1::ListLimitsRequest {}
impl Request for v1::GetLimitRequest {}
impl Request for v1::FindUnknownRunsRequest {}
impl Request for v1::StreamLogsRequest {}
impl Request for v1::DownloadLogsRequest {}

/// The codec of servers: answers are encoded as everywhere, and requests are [`read`](Request::read).
#[derive(Debug)]
pub struct RequestCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for RequestCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + 'static, U: Request> Codec for RequestCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = RequestDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        RequestDecoder(PhantomData)
    }
}

/// Reads requests of one method.
#[derive(Debug)]
pub struct RequestDecoder<U>(PhantomData<U>);

impl<U: Request> Decoder for RequestDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        Ok(Some(U::read(message.copy_to_bytes(message.remaining()))?))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        census::{ENTRIES_MAX, ITEMS_MAX, RULES_MAX, STEP_BYTES_MIN},
        *,
    };
    use proptest::prelude::*;
    use prost::encoding::WireType;
    use prost_types::value::Kind;

    const HOLLOW: &str = "steps that do nothing, and variables without a name";
    const VALUES: &str = "values in lists of loops and in pods' settings";

    fn request(pipeline: v1::Pipeline) -> Vec<u8> {
        let request = v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() };
        request.encode_to_vec()
    }

    fn refusal<R: Request>(encoded: &[u8]) -> Option<&'static str> {
        match R::inspect(encoded) {
            Ok(()) => None,
            Err(Unreadable::TooMany { what, .. }) => Some(what),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn steps_and_items_within_steps_count_too_however_deep_they_lie() {
        let hollow = vec![v1::Step::default(); ENTRIES_MAX + 1];
        let group = v1::Group { steps: hollow.clone(), ..Default::default() };
        let outer = v1::Step {
            name: "outer".into(),
            work: Some(v1::step::Work::Group(Box::new(group))),
            ..Default::default()
        };
        let in_group = v1::Pipeline { steps: vec![outer.clone()], ..Default::default() };
        let at_exit = v1::Pipeline { exit_steps: hollow, ..Default::default() };
        let item = prost_types::Value::default();
        let list = prost_types::ListValue { values: vec![item; ITEMS_MAX + 1] };
        let volumes = Some(list.clone());
        let within = prost_types::Value { kind: Some(Kind::ListValue(list.clone())) };
        let patch = Some(prost_types::Struct { fields: [("dnsConfig".into(), within)].into() });
        let pods =
            [v1::Pod { volumes, ..Default::default() }, v1::Pod { patch, ..Default::default() }];
        let pods = pods.map(|pod| {
            let task = v1::Task { pod: Some(Box::new(pod)), ..Default::default() };
            let work = Some(v1::step::Work::Task(Box::new(task)));
            let steps = vec![v1::Step { work, ..Default::default() }];
            (v1::Pipeline { steps, ..Default::default() }, VALUES)
        });
        let items = Some(v1::for_each::Items::List(list));
        let each = v1::Step {
            for_each: Some(Box::new(v1::ForEach { items, max_parallelism: 0 })),
            name: "each".into(),
            ..Default::default()
        };
        let loops = v1::Pipeline { steps: vec![each], ..Default::default() };
        let others = [(in_group, HOLLOW), (at_exit, HOLLOW), (loops, VALUES)];
        for (pipeline, what) in others.into_iter().chain(pods) {
            assert_eq!(refusal::<v1::SubmitRunRequest>(&request(pipeline)), Some(what));
        }
        // Groups in each other, thousands of them: looking must not go as deep.
        let mut encoded = outer.encode_to_vec();
        for _ in 0..2_000 {
            encoded = field(17, &field(2, &encoded));
        }
        let deep = field(3, &field(4, &encoded));
        assert_eq!(refusal::<v1::SubmitRunRequest>(&deep), None);
        assert!(v1::SubmitRunRequest::read(deep.into()).is_err(), "the decoder refuses it");
    }

    /// A field whose value has a length.
    fn field(number: u32, value: &[u8]) -> Vec<u8> {
        let mut field = Vec::new();
        prost::encoding::encode_key(number, WireType::LengthDelimited, &mut field);
        prost::encoding::encode_varint(value.len() as u64, &mut field);
        field.extend(value);
        field
    }

    #[test]
    fn more_steps_than_can_be_accepted_are_refused_by_their_bytes() {
        let step =
            |name: &str| v1::Step { name: name.into(), ..Default::default() }.encode_to_vec();
        for (count, step, refused) in [
            (ENTRIES_MAX, step(""), None),
            (ENTRIES_MAX + 1, step(""), Some(HOLLOW)),
            (STEPS_MAX, step("long-enough"), None),
            (STEPS_MAX + 1, step("long-enough"), Some("steps")),
        ] {
            let submission = field(3, &field(4, &step).repeat(count));
            assert_eq!(refusal::<v1::SubmitRunRequest>(&submission), refused);
            assert_eq!(refusal::<v1::SubmitLargeRunRequest>(&field(1, &submission)), refused);
            let chunk = field(2, &field(1, &step).repeat(count));
            assert_eq!(refusal::<v1::SubmitLargeRunRequest>(&chunk), refused);
        }
    }

    #[test]
    fn the_least_that_a_step_can_be_is_no_hollow_step() {
        let approval = v1::Step {
            name: "a".into(),
            work: Some(v1::step::Work::Approval(v1::Approval {})),
            ..v1::Step::default()
        };
        assert_eq!(approval.encoded_len(), STEP_BYTES_MIN);
        let submission = field(3, &field(4, &approval.encode_to_vec()).repeat(ENTRIES_MAX + 1));
        assert_eq!(refusal::<v1::SubmitRunRequest>(&submission), None);
    }

    #[test]
    fn other_lists_that_are_much_too_long_are_refused_by_their_bytes() {
        let refusal = |encoded: Vec<u8>| refusal::<v1::SubmitRunRequest>(&encoded);
        let env = vec![v1::EnvVar::default(); ENTRIES_MAX + 1];
        let task = v1::Task { env, ..Default::default() };
        let work = Some(v1::step::Work::Task(Box::new(task)));
        let steps = vec![v1::Step { work, ..Default::default() }];
        assert_eq!(refusal(request(v1::Pipeline { steps, ..Default::default() })), Some(HOLLOW));
        let parameters = vec![v1::Parameter::default(); ENTRIES_MAX + 1];
        let pipeline = v1::Pipeline { parameters, ..Default::default() };
        assert_eq!(refusal(request(pipeline)), Some("parameters"));
        let list = prost_types::ListValue { values: vec![prost_types::Value::default(); 3 << 20] };
        let list = prost_types::Value { kind: Some(prost_types::value::Kind::ListValue(list)) };
        let arguments = [("a".to_owned(), list)].into();
        let request = v1::SubmitRunRequest { arguments, ..Default::default() };
        assert_eq!(refusal(request.encode_to_vec()), Some("bytes of arguments"));
        assert_eq!(refusal(field(5, &[]).repeat(ENTRIES_MAX + 1)), Some("labels"));
        let step = |rules| field(4, &field(7, &[]).repeat(rules));
        let [half, more] = [step(RULES_MAX / 2), step(RULES_MAX / 2 + 1)];
        let steps = |steps: [&[u8]; 2]| field(3, &steps.map(|step| field(4, step)).concat());
        assert_eq!(refusal(steps([&half, &half])), None);
        assert_eq!(refusal(steps([&half, &more])), Some("retry rules"));
    }

    #[test]
    fn a_list_in_two_parts_is_counted_as_one() {
        let half = field(3, &field(4, &[]).repeat(ENTRIES_MAX / 2 + 1));
        assert_eq!(refusal::<v1::SubmitRunRequest>(&half), None);
        assert_eq!(refusal::<v1::SubmitRunRequest>(&half.repeat(2)), Some(HOLLOW));
    }

    #[test]
    fn requests_of_a_few_words_are_small() {
        let run_id = "r".repeat(v1::GetRunRequest::BYTES_MAX);
        let large = v1::GetRunRequest { run_id }.encode_to_vec();
        let refused = v1::GetRunRequest::read(large.into()).unwrap_err();
        assert!(matches!(refused, Unreadable::TooLarge { .. }), "{refused}");
    }

    proptest! {
        #[test]
        fn whatever_can_be_decoded_passes_and_no_bytes_make_it_panic(bytes: Vec<u8>) {
            let passes = v1::SubmitRunRequest::inspect(&bytes);
            if let Ok(request) = v1::SubmitRunRequest::decode(bytes.as_slice()) {
                prop_assert_eq!(passes, Ok(()));
                prop_assert_eq!(v1::SubmitRunRequest::read(bytes.into()), Ok(request));
            } else {
                prop_assert!(v1::SubmitRunRequest::read(bytes.into()).is_err());
            }
        }
    }
}
