//! Compiles the `.proto` files with `protox`, so that no `protoc` has to be installed.
//!
//! The same descriptor set that feeds the code generator is written to `OUT_DIR` for gRPC server reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const API: &[&str] = &[
    "tollgate/v1/types.proto",
    "tollgate/v1/accounts.proto",
    "tollgate/v1/balances.proto",
    "tollgate/v1/catalog.proto",
    "tollgate/v1/sessions.proto",
    "tollgate/v1/events.proto",
    "tollgate/v1/products.proto",
    "tollgate/v1/records.proto",
    "tollgate/v1/audit.proto",
    "tollgate/v1/vouchers.proto",
    "tollgate/v1/bulk.proto",
];
const JOURNAL: &[&str] = &["tollgate/journal/v1/journal.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let api = protox::compile(API, ["proto"])?;
    fs::write(out.join("tollgate_descriptor.bin"), api.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(api)?;

    let journal = protox::compile(JOURNAL, ["proto"])?;
    tonic_prost_build::configure().build_client(false).build_server(false).compile_fds(journal)?;
    Ok(())
}
