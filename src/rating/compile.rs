//! From the text of a catalog to its tables.

use super::catalog::{Catalog, Problem};

/// Compiles `text`, or says all that is wrong with it.
pub(super) fn compile(text: &str) -> Result<Catalog, Vec<Problem>> {
    let _ = text;
    Err(vec![Problem { line: 1, column: 1, message: "the catalog reader is not there yet".into() }])
}
