//! Diameter (RFC 6733) and credit control (RFC 8506, TS 32.299) as messages and state machines.
//!
//! Nothing here reads a socket or a clock: octets and times come in, values and octets go out. Nothing here knows what a
//! balance is either, so any Diameter program can use it.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`frame`] | header, and cutting messages off a stream |
//! | [`avp`], [`writer`] | reading AVPs in place; writing them into a buffer |
//! | [`limits`] | what one message may hold |
//! | [`dictionary`] | what codes mean |
//! | [`error`] | result codes; an error that knows its answer |
//! | [`base`], [`capabilities`], [`reauth`] | watchdog and disconnect; CER and CEA; RAR, RAA, ASR and ASA |
//! | [`credit_control`] | CCR and CCA |
//! | [`peer`] | one connection's life as a pure state machine |

pub mod avp;
pub mod base;
pub mod capabilities;
mod copied;
pub mod credit_control;
pub mod dictionary;
pub mod error;
pub mod frame;
pub mod limits;
pub mod peer;
pub mod reauth;
pub mod writer;

#[cfg(test)]
mod vectors;

pub use avp::{Avp, AvpError, Avps};
pub use base::{Identity, LocalNode};
pub use credit_control::{CreditControlAnswer, CreditControlRequest};
pub use error::{RequestError, ResultCode};
pub use frame::{Flags, Frame, FrameError, Header, split};
pub use limits::{Bound, Limits};
pub use writer::Writer;
