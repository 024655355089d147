//! Diameter as a client writes and reads it, without the product's own codec: what these tests send and see does not depend
//! on the code that they test.

/// Command flags.
pub(crate) const REQUEST: u8 = 0x80;
pub(crate) const PROXIABLE: u8 = 0x40;
pub(crate) const ERROR: u8 = 0x20;
pub(crate) const RETRANSMITTED: u8 = 0x10;

/// AVP flags.
const VENDOR: u8 = 0x80;
const MANDATORY: u8 = 0x40;
const TGPP: u32 = 10_415;

/// AVP codes, named as the standards name them.
pub(crate) mod code {
    pub(crate) const USER_NAME: u32 = 1;
    pub(crate) const EVENT_TIMESTAMP: u32 = 55;
    pub(crate) const HOST_IP_ADDRESS: u32 = 257;
    pub(crate) const AUTH_APPLICATION_ID: u32 = 258;
    pub(crate) const VENDOR_SPECIFIC_APPLICATION_ID: u32 = 260;
    pub(crate) const SESSION_ID: u32 = 263;
    pub(crate) const ORIGIN_HOST: u32 = 264;
    pub(crate) const VENDOR_ID: u32 = 266;
    pub(crate) const RESULT_CODE: u32 = 268;
    pub(crate) const PRODUCT_NAME: u32 = 269;
    pub(crate) const DISCONNECT_CAUSE: u32 = 273;
    pub(crate) const FAILED_AVP: u32 = 279;
    pub(crate) const PROXY_HOST: u32 = 280;
    pub(crate) const ROUTE_RECORD: u32 = 282;
    pub(crate) const DESTINATION_REALM: u32 = 283;
    pub(crate) const PROXY_INFO: u32 = 284;
    pub(crate) const DESTINATION_HOST: u32 = 293;
    pub(crate) const TERMINATION_CAUSE: u32 = 295;
    pub(crate) const ORIGIN_REALM: u32 = 296;
    pub(crate) const INBAND_SECURITY_ID: u32 = 299;
    pub(crate) const CC_INPUT_OCTETS: u32 = 412;
    pub(crate) const CC_MONEY: u32 = 413;
    pub(crate) const CC_OUTPUT_OCTETS: u32 = 414;
    pub(crate) const CC_REQUEST_NUMBER: u32 = 415;
    pub(crate) const CC_REQUEST_TYPE: u32 = 416;
    pub(crate) const CC_SERVICE_SPECIFIC_UNITS: u32 = 417;
    pub(crate) const CC_TIME: u32 = 420;
    pub(crate) const CC_TOTAL_OCTETS: u32 = 421;
    pub(crate) const COST_INFORMATION: u32 = 423;
    pub(crate) const CURRENCY_CODE: u32 = 425;
    pub(crate) const EXPONENT: u32 = 429;
    pub(crate) const FINAL_UNIT_INDICATION: u32 = 430;
    pub(crate) const GRANTED_SERVICE_UNIT: u32 = 431;
    pub(crate) const RATING_GROUP: u32 = 432;
    pub(crate) const REQUESTED_ACTION: u32 = 436;
    pub(crate) const REQUESTED_SERVICE_UNIT: u32 = 437;
    pub(crate) const SERVICE_IDENTIFIER: u32 = 439;
    pub(crate) const SUBSCRIPTION_ID: u32 = 443;
    pub(crate) const SUBSCRIPTION_ID_DATA: u32 = 444;
    pub(crate) const UNIT_VALUE: u32 = 445;
    pub(crate) const USED_SERVICE_UNIT: u32 = 446;
    pub(crate) const VALUE_DIGITS: u32 = 447;
    pub(crate) const VALIDITY_TIME: u32 = 448;
    pub(crate) const FINAL_UNIT_ACTION: u32 = 449;
    pub(crate) const SUBSCRIPTION_ID_TYPE: u32 = 450;
    pub(crate) const MULTIPLE_SERVICES_INDICATOR: u32 = 455;
    pub(crate) const MULTIPLE_SERVICES_CREDIT_CONTROL: u32 = 456;
    pub(crate) const USER_EQUIPMENT_INFO: u32 = 458;
    pub(crate) const SERVICE_CONTEXT_ID: u32 = 461;
    /// Of 3GPP.
    pub(crate) const VOLUME_QUOTA_THRESHOLD: u32 = 869;
    pub(crate) const REPORTING_REASON: u32 = 872;
    pub(crate) const SERVICE_INFORMATION: u32 = 873;
    pub(crate) const PS_INFORMATION: u32 = 874;
}

/// An AVP with M set.
pub(crate) fn avp(code: u32, data: &[u8]) -> Vec<u8> {
    avp_of(code, MANDATORY, None, data)
}

/// An AVP with any flags; a vendor sets V.
pub(crate) fn avp_of(code: u32, flags: u8, vendor: Option<u32>, data: &[u8]) -> Vec<u8> {
    let vendor = vendor.map(u32::to_be_bytes);
    let length = 8 + vendor.map_or(0, |_| 4) + data.len();
    let flags = flags | if vendor.is_some() { VENDOR } else { 0 };
    let mut out = code.to_be_bytes().to_vec();
    out.push(flags);
    out.extend(&(length as u32).to_be_bytes()[1..]);
    out.extend(vendor.into_iter().flatten());
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

pub(crate) fn number(code: u32, value: u32) -> Vec<u8> {
    avp(code, &value.to_be_bytes())
}

pub(crate) fn long(code: u32, value: u64) -> Vec<u8> {
    avp(code, &value.to_be_bytes())
}

pub(crate) fn text(code: u32, value: &str) -> Vec<u8> {
    avp(code, value.as_bytes())
}

pub(crate) fn group(code: u32, members: &[Vec<u8>]) -> Vec<u8> {
    avp(code, &members.concat())
}

/// An AVP of 3GPP, with M set.
pub(crate) fn tgpp(code: u32, data: &[u8]) -> Vec<u8> {
    avp_of(code, MANDATORY, Some(TGPP), data)
}

/// Failed-AVP as it should be, for comparison with [`Message::failed`].
pub(crate) fn nested(path: &[u32], innermost: Vec<u8>) -> Vec<u8> {
    path.iter().rev().fold(innermost, |inner, code| avp(*code, &inner))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half an octet in {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) flags: u8,
    pub(crate) command: u32,
    pub(crate) application: u32,
    pub(crate) hop_by_hop: u32,
    pub(crate) end_to_end: u32,
    /// In the order of sending.
    pub(crate) avps: Vec<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(command: u32, application: u32, avps: Vec<Vec<u8>>) -> Self {
        let flags = if application == 0 { REQUEST } else { REQUEST | PROXIABLE };
        Self { flags, command, application, hop_by_hop: 0, end_to_end: 0, avps }
    }

    /// With these identifiers, both.
    pub(crate) fn numbered(mut self, id: u32) -> Self {
        (self.hop_by_hop, self.end_to_end) = (id, id);
        self
    }

    pub(crate) fn with(mut self, avp: Vec<u8>) -> Self {
        self.avps.push(avp);
        self
    }

    /// Every AVP of this code taken out.
    pub(crate) fn without(mut self, code: u32) -> Self {
        self.avps.retain(|avp| avp[..4] != code.to_be_bytes());
        self
    }

    /// The first AVP of this code replaced, at its place.
    pub(crate) fn replacing(mut self, code: u32, other: Vec<u8>) -> Self {
        *self.avps.iter_mut().find(|avp| avp[..4] == code.to_be_bytes()).unwrap() = other;
        self
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let body = self.avps.concat();
        let mut out = vec![1];
        out.extend(&(20 + body.len() as u32).to_be_bytes()[1..]);
        out.push(self.flags);
        out.extend(&self.command.to_be_bytes()[1..]);
        for word in [self.application, self.hop_by_hop, self.end_to_end] {
            out.extend(word.to_be_bytes());
        }
        out.extend(body);
        out
    }
}

/// A message as received or recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message(pub(crate) Vec<u8>);

/// One AVP of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avp<'a> {
    pub(crate) code: u32,
    pub(crate) flags: u8,
    pub(crate) vendor: u32,
    pub(crate) data: &'a [u8],
    /// With header and padding.
    pub(crate) raw: &'a [u8],
}

/// The AVPs of a body or of a group; a framing that does not fit fails the test.
pub(crate) fn avps(mut rest: &[u8]) -> Vec<Avp<'_>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        let (flags, length) = (rest[4], (word(4) & 0x00ff_ffff) as usize);
        let (vendor, header) = if flags & VENDOR == 0 { (0, 8) } else { (word(8), 12) };
        let padded = length.next_multiple_of(4);
        found.push(Avp { code: word(0), flags, vendor, data: &rest[header..length], raw: &rest[..padded] });
        assert!(rest[length..padded].iter().all(|octet| *octet == 0), "padding is zero (spec B-21)");
        rest = &rest[padded..];
    }
    found
}

impl Message {
    fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn flags(&self) -> u8 {
        self.0[4]
    }

    pub(crate) fn is_request(&self) -> bool {
        self.flags() & REQUEST != 0
    }

    pub(crate) fn is_error(&self) -> bool {
        self.flags() & ERROR != 0
    }

    pub(crate) fn command(&self) -> u32 {
        self.word(4) & 0x00ff_ffff
    }

    pub(crate) fn application(&self) -> u32 {
        self.word(8)
    }

    pub(crate) fn hop_by_hop(&self) -> u32 {
        self.word(12)
    }

    pub(crate) fn end_to_end(&self) -> u32 {
        self.word(16)
    }

    pub(crate) fn avps(&self) -> Vec<Avp<'_>> {
        avps(&self.0[20..])
    }

    /// Codes at command level, in order.
    pub(crate) fn codes(&self) -> Vec<u32> {
        self.avps().iter().map(|avp| avp.code).collect()
    }

    pub(crate) fn has(&self, code: u32) -> bool {
        self.codes().contains(&code)
    }

    /// Whether the AVPs of the command can be told apart.
    pub(crate) fn intact(&self) -> bool {
        let mut rest = &self.0[20..];
        while let Some(head) = rest.first_chunk::<8>() {
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            let least = if head[4] & VENDOR == 0 { 8 } else { 12 };
            match rest.get(length.next_multiple_of(4)..) {
                Some(behind) if length >= least => rest = behind,
                _ => return false,
            }
        }
        rest.is_empty()
    }

    /// The same message with its first AVP of this code replaced.
    pub(crate) fn replacing(&self, code: u32, other: &[u8]) -> Self {
        let mut body = Vec::new();
        let mut other = Some(other);
        for avp in self.avps() {
            let replaced = if avp.code == code { other.take() } else { None };
            body.extend(replaced.unwrap_or(avp.raw));
        }
        assert!(other.is_none());
        let mut octets = [&self.0[..20], &body].concat();
        let length = octets.len() as u32;
        octets[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
        Self(octets)
    }

    pub(crate) fn part(&self) -> Part<'_> {
        Part(&self.0[20..])
    }

    pub(crate) fn number(&self, path: &[u32]) -> Option<u32> {
        self.part().number(path)
    }

    pub(crate) fn text(&self, code: u32) -> Option<&str> {
        self.part().find(&[code]).map(|data| std::str::from_utf8(data).unwrap())
    }

    pub(crate) fn result(&self) -> u32 {
        self.number(&[code::RESULT_CODE]).unwrap()
    }

    /// Every MSCC, in order.
    pub(crate) fn services(&self) -> Vec<Part<'_>> {
        self.part().all(code::MULTIPLE_SERVICES_CREDIT_CONTROL)
    }

    /// The content of the only Failed-AVP.
    pub(crate) fn failed(&self) -> Option<&[u8]> {
        assert!(self.part().all(code::FAILED_AVP).len() <= 1, "one Failed-AVP is the norm (spec B-73)");
        self.part().find(&[code::FAILED_AVP])
    }
}

/// AVPs in a row: a body, or the content of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a>(pub(crate) &'a [u8]);

impl<'a> Part<'a> {
    /// The data of the first AVP on this path of codes.
    pub(crate) fn find(&self, path: &[u32]) -> Option<&'a [u8]> {
        path.iter().try_fold(self.0, |part, code| Some(avps(part).iter().find(|avp| avp.code == *code)?.data))
    }

    pub(crate) fn all(&self, code: u32) -> Vec<Part<'a>> {
        avps(self.0).iter().filter(|avp| avp.code == code).map(|avp| Part(avp.data)).collect()
    }

    pub(crate) fn number(&self, path: &[u32]) -> Option<u32> {
        self.find(path).map(|data| u32::from_be_bytes(data.try_into().unwrap()))
    }

    pub(crate) fn long(&self, path: &[u32]) -> Option<u64> {
        self.find(path).map(|data| u64::from_be_bytes(data.try_into().unwrap()))
    }

    /// Granted CC-Total-Octets.
    pub(crate) fn octets(&self) -> Option<u64> {
        self.long(&[code::GRANTED_SERVICE_UNIT, code::CC_TOTAL_OCTETS])
    }

    /// The group's Unit-Value in micro-units, and its currency.
    pub(crate) fn money(&self, path: &[u32]) -> Option<(i64, Option<u32>)> {
        let money = Part(self.find(path)?);
        let digits = money.long(&[code::UNIT_VALUE, code::VALUE_DIGITS]).unwrap() as i64;
        let exponent = money.number(&[code::UNIT_VALUE, code::EXPONENT]).unwrap_or(0) as i32;
        let micros = digits * 10_i64.pow(u32::try_from(exponent + 6).unwrap());
        Some((micros, money.number(&[code::CURRENCY_CODE])))
    }
}
