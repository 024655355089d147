//! What Tollgate can do on this machine, measured so that anyone can repeat it: `tollgate bench`.
//!
//! | file | what it is |
//! | --- | --- |
//! | `table` | a server of its own, the load against it and against the responder, the table that comes out |
//! | `server` | that server: a process, and where it listens |
//! | `machine` | what the machine is, and how fast its disk syncs |
//! | `path` | the way of one CCR through the core, for instruction counts and benches |

pub mod machine;
pub mod path;
mod server;
pub mod table;

pub use self::table::{BenchOptions, run};
