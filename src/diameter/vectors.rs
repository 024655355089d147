//! The vectors of the specification and recorded traffic.
