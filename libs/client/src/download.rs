//! A log as one text.

use bytes::Bytes;
use tonic::Streaming;
use windlass_proto::v1::DownloadLogsResponse;

use crate::ClientError;

/// A log that is being read, chunk after chunk.
#[derive(Debug)]
pub struct LogDownload {
    stream: Streaming<DownloadLogsResponse>,
}

impl LogDownload {
    pub(crate) fn new(stream: Streaming<DownloadLogsResponse>) -> Self {
        Self { stream }
    }

    /// The next bytes; none at the end. A broken connection is an error: the text so far is not the whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        Ok(self.stream.message().await?.map(|chunk| chunk.data))
    }
}
