//! The message header, and cutting whole messages off a stream of octets (RFC 6733 3, spec section 1).

use bytes::{Bytes, BytesMut};

use super::error::ResultCode;

/// Octets of the header (RFC 6733 3).
pub const HEADER_LEN: usize = 20;

/// The longest message accepted when nothing else is configured: CCRs with many rating groups reach 10-20 kB, and the
/// limit is what a peer can make us buffer (spec B-184).
pub const MESSAGE_MAX_DEFAULT: usize = 65_536;

/// The only version there is.
const VERSION: u8 = 1;

/// Cuts the next message off the front of what was received. `Ok(None)`: it is not all there yet.
///
/// # Errors
/// The stream is not Diameter or has lost its framing: answer if [`FrameError::answerable`] gives a header, then close
/// (spec B-1, B-3).
#[inline]
pub fn split(buffer: &mut BytesMut, max: usize) -> Result<Option<Frame>, FrameError> {
    let Some(&[version, a, b, c]) = buffer.first_chunk::<4>() else { return Ok(None) };
    let header = || buffer.first_chunk::<HEADER_LEN>().map(Header::read);
    if version != VERSION {
        return Err(FrameError::Version { version, header: header() });
    }
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if length < HEADER_LEN || length > max || !length.is_multiple_of(4) {
        return Err(FrameError::Length { length, max, header: header() });
    }
    if buffer.len() < length {
        return Ok(None);
    }
    Ok(Some(Frame(buffer.split_to(length).freeze())))
}

/// A whole message: its version is 1 and its length field is the number of octets. Clones share the octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// One message in a buffer of its own, such as one SCTP chunk.
    ///
    /// # Errors
    /// As [`split`]; octets before the end of the message or after it are a wrong length too.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, FrameError> {
        let header = bytes.first_chunk::<HEADER_LEN>().map(Header::read);
        match bytes.first_chunk::<4>() {
            Some(&[version, ..]) if version != VERSION => Err(FrameError::Version { version, header }),
            Some(&[_, a, b, c]) => {
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                if length < HEADER_LEN || length != bytes.len() || !length.is_multiple_of(4) {
                    return Err(FrameError::Length { length, max: bytes.len(), header });
                }
                Ok(Self(bytes))
            }
            None => Err(FrameError::Length { length: bytes.len(), max: bytes.len(), header }),
        }
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> Header {
        // A frame has at least a header; an empty one would read as zeros.
        self.0.first_chunk::<HEADER_LEN>().map(Header::read).unwrap_or_default()
    }

    /// The AVPs.
    #[inline]
    pub fn body(&self) -> &[u8] {
        self.0.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Header and AVPs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Command flags (RFC 6733 3). Reserved bits are ignored (spec B-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// R: a request.
    pub const REQUEST: u8 = 0x80;
    /// P: agents may forward it.
    pub const PROXIABLE: u8 = 0x40;
    /// E: an answer that reports a protocol error.
    pub const ERROR: u8 = 0x20;
    /// T: sent again, perhaps processed already (spec B-94).
    pub const RETRANSMITTED: u8 = 0x10;

    /// Whether R is set.
    pub const fn is_request(self) -> bool {
        self.0 & Self::REQUEST != 0
    }

    /// Whether P is set.
    pub const fn is_proxiable(self) -> bool {
        self.0 & Self::PROXIABLE != 0
    }

    /// Whether E is set.
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// Whether T is set.
    pub const fn is_retransmitted(self) -> bool {
        self.0 & Self::RETRANSMITTED != 0
    }
}

/// The header of a message (RFC 6733 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Octets of the whole message; ignored when writing.
    pub length: u32,
    /// Command flags.
    pub flags: Flags,
    /// Command code, 24 bits.
    pub command: u32,
    /// Application id.
    pub application: u32,
    /// Names the request on this connection (spec B-91).
    pub hop_by_hop: u32,
    /// Names the request everywhere (spec B-92).
    pub end_to_end: u32,
}

impl Header {
    /// A request with these ids; `proxiable` as the command demands (spec B-5).
    pub const fn request(command: u32, application: u32, proxiable: bool, hop_by_hop: u32, end_to_end: u32) -> Self {
        let flags = Flags(Flags::REQUEST | if proxiable { Flags::PROXIABLE } else { 0 });
        Self { length: 0, flags, command, application, hop_by_hop, end_to_end }
    }

    /// The header of the answer: same command, application, identifiers and P bit; R, E and T clear (spec B-80).
    pub const fn answer(&self) -> Self {
        Self { length: 0, flags: Flags(self.flags.0 & Flags::PROXIABLE), ..*self }
    }

    /// The header of an answer that reports a protocol error (spec B-82).
    pub const fn error_answer(&self) -> Self {
        Self { length: 0, flags: Flags(self.flags.0 & Flags::PROXIABLE | Flags::ERROR), ..*self }
    }

    /// Reads all but the version.
    #[inline]
    pub fn read(octets: &[u8; HEADER_LEN]) -> Self {
        let &[_, l1, l2, l3, flags, c1, c2, c3, a0, a1, a2, a3, h0, h1, h2, h3, e0, e1, e2, e3] = octets;
        Self {
            length: u32::from_be_bytes([0, l1, l2, l3]),
            flags: Flags(flags),
            command: u32::from_be_bytes([0, c1, c2, c3]),
            application: u32::from_be_bytes([a0, a1, a2, a3]),
            hop_by_hop: u32::from_be_bytes([h0, h1, h2, h3]),
            end_to_end: u32::from_be_bytes([e0, e1, e2, e3]),
        }
    }

    /// The octets, with version 1.
    #[inline]
    pub fn octets(&self) -> [u8; HEADER_LEN] {
        let [_, l1, l2, l3] = self.length.to_be_bytes();
        let [_, c1, c2, c3] = self.command.to_be_bytes();
        let [a0, a1, a2, a3] = self.application.to_be_bytes();
        let [h0, h1, h2, h3] = self.hop_by_hop.to_be_bytes();
        let [e0, e1, e2, e3] = self.end_to_end.to_be_bytes();
        [VERSION, l1, l2, l3, self.flags.0, c1, c2, c3, a0, a1, a2, a3, h0, h1, h2, h3, e0, e1, e2, e3]
    }
}

/// The octets are not a Diameter message; the connection cannot go on (spec B-1, B-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another version than 1.
    #[error("version {version} instead of 1")]
    Version {
        /// As received.
        version: u8,
        /// The header, when all of it was there.
        header: Option<Header>,
    },
    /// Shorter than a header, longer than the limit, or not a multiple of 4.
    #[error("message length {length} is not a multiple of 4 from 20 to {max}")]
    Length {
        /// As received.
        length: usize,
        /// The limit.
        max: usize,
        /// The header, when all of it was there.
        header: Option<Header>,
    },
}

impl FrameError {
    /// The answer's Result-Code.
    pub const fn result_code(&self) -> ResultCode {
        match self {
            Self::Version { .. } => ResultCode::UNSUPPORTED_VERSION,
            Self::Length { .. } => ResultCode::INVALID_MESSAGE_LENGTH,
        }
    }

    /// The request that can be answered before closing: its header was readable and it is not an answer itself (spec
    /// B-3, B-89).
    pub fn answerable(&self) -> Option<Header> {
        let (Self::Version { header, .. } | Self::Length { header, .. }) = self;
        header.filter(|header| header.flags.is_request())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::{
        base::Identity,
        error::write_frame_error_answer,
        vectors::{CER, hex},
    };

    // tests: B-2
    #[test]
    fn a_stream_is_cut_wherever_it_was_torn() {
        let messages = [hex(CER), hex(CER)].concat();
        for torn_at in 0..=messages.len() {
            let (mut buffer, mut frames) = (BytesMut::new(), 0);
            for part in [&messages[..torn_at], &messages[torn_at..]] {
                buffer.extend_from_slice(part);
                while let Some(frame) = split(&mut buffer, MESSAGE_MAX_DEFAULT).unwrap() {
                    assert_eq!(frame.as_bytes(), hex(CER));
                    frames += 1;
                }
            }
            assert_eq!((frames, buffer.len()), (2, 0));
        }
    }

    // tests: B-1 B-3 B-184
    #[test]
    fn lost_framing_is_an_error_that_may_be_answerable() {
        let whole = hex(CER);
        for (at, octet, code) in [
            (0, 2, ResultCode::UNSUPPORTED_VERSION),
            (3, 0x82, ResultCode::INVALID_MESSAGE_LENGTH),
            (3, 16, ResultCode::INVALID_MESSAGE_LENGTH),
            (1, 1, ResultCode::INVALID_MESSAGE_LENGTH),
        ] {
            let mut octets = whole.clone();
            octets[at] = octet;
            let error = split(&mut BytesMut::from(octets.as_slice()), MESSAGE_MAX_DEFAULT).unwrap_err();
            assert_eq!(error.result_code(), code);
            let header = error.answerable().unwrap();
            assert_eq!((header.command, header.hop_by_hop), (257, 1));
            let early = split(&mut BytesMut::from(&octets[..8]), MESSAGE_MAX_DEFAULT).unwrap_err();
            assert_eq!(early.answerable(), None);
            // An answer is never answered (spec B-89).
            octets[4] = 0;
            assert_eq!(split(&mut BytesMut::from(octets.as_slice()), 64).unwrap_err().answerable(), None);
        }
    }

    // tests: B-1 B-80
    #[test]
    fn a_frame_error_is_answered_from_the_header() {
        let mut out = Vec::new();
        let header = Header::request(272, 4, true, 7, 9);
        let local = Identity { host: "o.example".into(), realm: "example".into() };
        write_frame_error_answer(&mut out, &header, &local, ResultCode::INVALID_MESSAGE_LENGTH);
        let answer = Frame::from_bytes(out.into()).unwrap().header();
        assert_eq!((answer.flags.0, answer.hop_by_hop, answer.end_to_end), (Flags::ERROR | Flags::PROXIABLE, 7, 9));
    }

    #[test]
    fn headers_are_written_as_they_are_read() {
        let octets: [u8; HEADER_LEN] = hex(CER)[..HEADER_LEN].try_into().unwrap();
        assert_eq!(Header::read(&octets).octets(), octets);
    }
}
