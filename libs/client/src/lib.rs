//! The typed gRPC client of Windlass.
//!
//! ```no_run
//! # use windlass_client::{Client, ClientError, v1};
//! # async fn example(pipeline: v1::Pipeline) -> Result<(), ClientError> {
//! let client = Client::connect("http://127.0.0.1:7878").await?;
//! let request = v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() };
//! let run = client.submit(request).await?;
//! let mut watch = client.watch(&run.run_id);
//! while watch.next().await?.is_some() {}
//! println!("{:?}", watch.run().state());
//! # Ok(())
//! # }
//! ```
//!
//! Inside: what belongs to every client of the contract, so that none writes it again: the limits of a message
//! ([`Client`]), the choice between the two ways to submit, pages ([`Pages`]), a watch that survives the server's restart
//! ([`RunWatch`]), logs ([`LogLines`], [`LogDownload`]), and errors with their details ([`ClientError`]).
//!
//! Never inside: anything about terminals, files or exit codes, and rules about pipelines (the server's).

mod backoff;
mod cache;
mod connect;
mod download;
mod error;
mod greeting;
mod limits;
mod logs;
mod orders;
mod pages;
mod reads;
mod scheme;
mod submit;
mod view;
mod watch;

pub use backoff::{Patience, Waiting};
pub use connect::{Client, ClientIdentity, MAX_MESSAGE_BYTES, TlsOptions};
pub use download::LogDownload;
pub use error::{ClientError, FieldViolation, Refusal};
pub use greeting::FILES_HEADER;
pub use logs::{LogEvent, LogLines};
pub use pages::{Paged, Pages};
pub use submit::MAX_CHUNK_BYTES;
pub use tonic::Code;
pub use watch::{RunChange, RunWatch, WatchEvent};
pub use windlass_proto::v1;
