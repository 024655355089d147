//! The messages that the compiler makes of `proto/tollgate/journal/v1/journal.proto`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]

tonic::include_proto!("tollgate.journal.v1");
