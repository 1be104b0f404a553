//! The contract of Windlass.
//!
//! Inside: the generated types and services of `windlass/v1/*.proto` ([`v1`]), their conversions to and from the
//! engine's types ([`convert`]) and to JSON ([`json`]), ids ([`id`]), keys of results ([`cache_key`]), names of clusters ([`cluster`]), how servers read requests ([`codec`]), the word of a removal ([`removal`]), and the one place that spells subjects ([`subject`]).
//!
//! Never inside: I/O, and decisions about runs (those are the engine's).

pub mod cache_key;
pub mod cluster;
pub mod codec;
pub mod convert;
pub mod encoded;
pub mod holder;
pub mod id;
pub mod json;
pub mod removal;
pub mod subject;

/// The generated types and services of package `windlass.v1`.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::large_enum_variant,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("windlass.v1");
    include!(concat!(env!("OUT_DIR"), "/server/windlass.v1.rs"));
}

/// The encoded descriptors of all files of the contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("windlass.v1");
