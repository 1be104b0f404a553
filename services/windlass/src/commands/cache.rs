//! `windlass cache`: the results that are kept of steps.

use windlass_client::v1::ClearCacheRequest;

use super::target;
use crate::{
    args::{CacheCommand, ClearCacheArgs, OutputFormat},
    document::ClearCacheResult,
    exit::Exit,
    failure::Failure,
    output,
    render::words,
};

pub(super) async fn cache(command: CacheCommand, format: OutputFormat) -> Result<Exit, Failure> {
    match command {
        CacheCommand::Clear(args) => clear(args, format).await,
    }
}

async fn clear(args: ClearCacheArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let client = target::connect(&args.server, format).await?;
    let ClearCacheArgs { namespace, pipeline, step, .. } = args;
    let forgotten = client.clear_cache(ClearCacheRequest { namespace, pipeline, step }).await?;
    match format {
        OutputFormat::Json => output::write_json(&ClearCacheResult { forgotten })?,
        OutputFormat::Text => output::write(&told(forgotten))?,
    }
    Ok(Exit::Success)
}

fn told(forgotten: u64) -> String {
    let count = usize::try_from(forgotten).unwrap_or(usize::MAX);
    match forgotten {
        0 => "there were no such results\n".to_owned(),
        1 => "1 result is forgotten\n".to_owned(),
        _ => format!("{} results are forgotten\n", words::number(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_were_forgotten_is_told() {
        assert_eq!(
            [0, 1, 1200].map(told),
            [
                "there were no such results\n",
                "1 result is forgotten\n",
                "1,200 results are forgotten\n"
            ]
        );
    }
}
