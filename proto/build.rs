//! Compiles `windlass/v1/*.proto` with protox, so that no `protoc` is needed on the machine.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=windlass");
    let mut files = fs::read_dir("windlass/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;

    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("windlass.v1.bin"), descriptors.encode_to_vec())?;
    // Servers read with a codec of their own, and so are made apart.
    let server_dir = out_dir.join("server");
    fs::create_dir_all(&server_dir)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::codec::RequestCodec")
        .extern_path(".windlass.v1", "crate::v1")
        .out_dir(server_dir)
        .compile_fds(descriptors.clone())?;
    tonic_prost_build::configure()
        .build_server(false)
        // The same message is always encoded to the same bytes, so that digests of it can be compared.
        .btree_map(".")
        // A pipeline may have a million steps: what most of them leave unset must not take room.
        .boxed(".windlass.v1.Step.retry")
        .boxed(".windlass.v1.Step.for_each")
        .boxed(".windlass.v1.Step.work.task")
        .boxed(".windlass.v1.Step.work.group")
        .boxed(".windlass.v1.Step.work.branches")
        .boxed(".windlass.v1.Task.cache")
        .boxed(".windlass.v1.Task.pod")
        .boxed(".windlass.v1.EnvVar.secret")
        .bytes(".windlass.v1.DeadLetter.record")
        .bytes(".windlass.v1.LogLine.content")
        .bytes(".windlass.v1.DownloadLogsResponse.data")
        .compile_fds(descriptors)?;
    Ok(())
}
