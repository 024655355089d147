//! What is looked up in a CCR before it is read as a whole: how it is to be read depends on who sent it, and under overload
//! it is not read at all. What cannot be made out here is left to the reader, which says what is wrong.

use crate::diameter::{
    avp::{Avp, Avps},
    dictionary::{self as d, AvpDef, key},
    frame::Frame,
};

use super::RequestType;

/// Origin-Host.
#[inline]
pub fn origin_host(frame: &Frame) -> Option<&str> {
    first(frame.body(), &d::ORIGIN_HOST)?.utf8().ok()
}

/// CC-Request-Type.
pub fn request_type(frame: &Frame) -> Option<RequestType> {
    RequestType::from_value(first(frame.body(), &d::CC_REQUEST_TYPE)?.u32().ok()?)
}

/// Whether it asks for units, for any service.
pub fn asks_for_units(frame: &Frame) -> bool {
    Avps::new(frame.body()).map_while(Result::ok).any(|avp| match avp.key() {
        key::REQUESTED_SERVICE_UNIT => true,
        key::MULTIPLE_SERVICES_CREDIT_CONTROL => first(avp.data, &d::REQUESTED_SERVICE_UNIT).is_some(),
        _ => false,
    })
}

#[inline]
fn first<'a>(avps: &'a [u8], def: &AvpDef) -> Option<Avp<'a>> {
    Avps::new(avps).map_while(Result::ok).find(|avp| avp.is(def))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::vectors::{CCR_I, CCR_U, CER, frame};

    #[test]
    fn what_a_glance_finds() {
        let initial = frame(CCR_I);
        assert_eq!(origin_host(&initial), Some("pgw.example.net"));
        assert_eq!((request_type(&initial), asks_for_units(&initial)), (Some(RequestType::Initial), true));
        assert_eq!(request_type(&frame(CCR_U)), Some(RequestType::Update));
        let other = frame(CER);
        assert_eq!((request_type(&other), asks_for_units(&other)), (None, false));
    }
}
