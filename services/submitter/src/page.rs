//! What many requests have in common: run ids, page sizes, page tokens.

use data_encoding::BASE64URL_NOPAD;
use windlass_engine::time::Timestamp;
use windlass_proto::id::RunId;
use windlass_service::error::ApiError;
use windlass_store::RunPosition;

/// The run that a request names.
pub(crate) fn run_id(text: &str) -> Result<RunId, ApiError> {
    text.parse().map_err(|error| ApiError::invalid("run_id", format!("{error}")))
}

/// How many to give: what was asked for, within 1 and `most`, or `default`.
pub(crate) fn size(asked: i32, default: u32, most: u32) -> Result<u32, ApiError> {
    match u32::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(most)),
        Err(_) => Err(ApiError::invalid(
            "page_size",
            format!("{asked} is negative; leave it out, or set it to at most {most}"),
        )),
    }
}

/// A page token that says: go on at this number.
pub(crate) fn number_token(next: u32) -> String {
    BASE64URL_NOPAD.encode(&next.to_be_bytes())
}

/// Where a page that a token asks for begins; 0 without a token.
pub(crate) fn parse_number_token(token: &str) -> Result<u32, ApiError> {
    if token.is_empty() {
        return Ok(0);
    }
    BASE64URL_NOPAD
        .decode(token.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or_else(invalid_token)
}

/// A page token that says: go on after this run.
pub(crate) fn run_token(position: RunPosition) -> String {
    let mut bytes = position.created_at.0.to_be_bytes().to_vec();
    bytes.extend(position.run.as_str().as_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

/// After which run a page that a token asks for begins.
pub(crate) fn parse_run_token(token: &str) -> Result<Option<RunPosition>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| invalid_token())?;
    let (time, run) = bytes.split_first_chunk::<8>().ok_or_else(invalid_token)?;
    let run =
        std::str::from_utf8(run).ok().and_then(|run| run.parse().ok()).ok_or_else(invalid_token)?;
    Ok(Some(RunPosition { created_at: Timestamp(u64::from_be_bytes(*time)), run }))
}

fn invalid_token() -> ApiError {
    ApiError::invalid("page_token", "is not one that this service gave; leave it out to begin anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_back_to_where_they_were_made_and_others_are_refused() {
        assert_eq!(parse_number_token(&number_token(70_000)).unwrap(), 70_000);
        let position = RunPosition {
            created_at: Timestamp(1_700_000_000_123),
            run: "run_0123456789abcdefghijklmnop".parse().unwrap(),
        };
        assert_eq!(parse_run_token(&run_token(position)).unwrap(), Some(position));
        for bad in ["x", "é", "AAAA", &"A".repeat(1000)] {
            assert!(parse_run_token(bad).is_err(), "{bad}");
        }
        for bad in ["x", "é", "AAA", &"A".repeat(1000)] {
            assert!(parse_number_token(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_negative_page_size_is_refused_and_a_large_one_cut() {
        assert_eq!(size(0, 100, 1000).unwrap(), 100);
        assert_eq!(size(5000, 100, 1000).unwrap(), 1000);
        assert!(size(-1, 100, 1000).is_err());
    }
}
