//! Groups as tables: one line is one member. The table makes the struct, its reader and its writer.
//!
//! Groups read this way describe or steer a service; none of their members is worth a refusal. A member that is unknown
//! or ill-formed is passed over and the rest still counts (spec C-7, G-92); what must be exact (units, money, keys) is read
//! by hand, with [`super::problems`]. The framing has been checked when a request is parsed.

use std::sync::Arc;

use crate::{
    diameter::{
        avp::{Address, Avp},
        dictionary::AvpDef,
        writer::Writer,
    },
    time::Timestamp,
};

/// One value in a group.
pub(super) trait Member<'a>: Sized {
    /// The value, unless it is ill-formed.
    fn read(avp: &Avp<'a>) -> Option<Self>;
    /// Writes the AVP.
    fn write(&self, def: &AvpDef, w: &mut Writer<'_>);
}

/// The place of a member in its struct: once, a few times or any number of times.
pub(super) trait Place<'a> {
    /// Takes an AVP of this kind.
    fn accept(&mut self, avp: &Avp<'a>);
    /// Writes what is there.
    fn write_all(&self, def: &AvpDef, w: &mut Writer<'_>);
}

/// The first well-formed one counts.
impl<'a, T: Member<'a>> Place<'a> for Option<T> {
    fn accept(&mut self, avp: &Avp<'a>) {
        if self.is_none() {
            *self = T::read(avp);
        }
    }

    fn write_all(&self, def: &AvpDef, w: &mut Writer<'_>) {
        self.iter().for_each(|value| value.write(def, w));
    }
}

/// All of them; the size of the message is the limit.
impl<'a, T: Member<'a>> Place<'a> for Vec<T> {
    fn accept(&mut self, avp: &Avp<'a>) {
        self.extend(T::read(avp));
    }

    fn write_all(&self, def: &AvpDef, w: &mut Writer<'_>) {
        self.iter().for_each(|value| value.write(def, w));
    }
}

/// The first `N` of an AVP that may be repeated, without a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Few<T, const N: usize>([Option<T>; N]);

impl<T: Copy, const N: usize> Few<T, N> {
    /// In the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.0.iter().copied().flatten()
    }

    /// The first one.
    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// One more, if there is room.
    fn push(&mut self, value: T) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(value);
        }
    }
}

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self([None; N])
    }
}

impl<T: Copy, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::default();
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}

impl<'a, T: Member<'a> + Copy, const N: usize> Place<'a> for Few<T, N> {
    fn accept(&mut self, avp: &Avp<'a>) {
        if let Some(value) = T::read(avp) {
            self.push(value);
        }
    }

    fn write_all(&self, def: &AvpDef, w: &mut Writer<'_>) {
        self.iter().for_each(|value| value.write(def, w));
    }
}

macro_rules! member {
    ($($type:ty: $read:ident $write:ident;)*) => {
        $(impl<'a> Member<'a> for $type {
            #[inline]
            fn read(avp: &Avp<'a>) -> Option<Self> {
                avp.$read().ok()
            }

            fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
                w.$write(def, *self);
            }
        })*
    };
}

member! {
    u32: u32 u32;
    u64: u64 u64;
    i32: i32 i32;
    Timestamp: time time;
    &'a str: utf8 utf8;
}

impl<'a> Member<'a> for &'a [u8] {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        Some(avp.data)
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.octets(def, self);
    }
}

/// An OctetString of exactly one octet.
impl<'a> Member<'a> for u8 {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        match avp.data {
            [octet] => Some(*octet),
            _ => None,
        }
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.octets(def, &[*self]);
    }
}

/// An Enumerated of no and yes.
impl<'a> Member<'a> for bool {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        avp.u32().ok().map(|value| value == 1)
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.u32(def, u32::from(*self));
    }
}

impl<'a> Member<'a> for Address<'a> {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        avp.address().ok()
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        match self {
            Self::Ip(ip) => w.address(def, *ip),
            Self::E164(number) => w.octets(def, &[&[0, 8], number.as_bytes()].concat()),
            Self::Other { family, octets } => w.octets(def, &[&family.to_be_bytes()[..], octets].concat()),
        }
    }
}

/// Text that outlives the message: what a server says.
impl<'a> Member<'a> for Arc<str> {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        avp.utf8().ok().map(Arc::from)
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.utf8(def, self);
    }
}

/// Octets that outlive the message.
impl<'a> Member<'a> for Vec<u8> {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        Some(avp.data.to_vec())
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.octets(def, self);
    }
}

/// Declares a group: `field: type = NAME_IN_THE_DICTIONARY`.
macro_rules! group {
    (
        $(#[$doc:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $def:ident,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Reads the members of such a group, up to the end or to where the framing breaks.
            pub fn parse(members: & $($life)? [u8]) -> Self {
                let mut group = Self::default();
                group.read_members(members);
                group
            }

            /// Reads further members: what is set already stays.
            pub(crate) fn read_members(&mut self, members: & $($life)? [u8]) {
                use $crate::diameter::{credit_control::group::Place, dictionary::key};
                for avp in $crate::diameter::avp::Avps::new(members).map_while(Result::ok) {
                    match avp.key() {
                        $(key::$def => Place::accept(&mut self.$field, &avp),)*
                        _ => {}
                    }
                }
            }

            /// Writes what is set, in the order of the fields, without the group around it.
            pub fn write_members(&self, w: &mut $crate::diameter::writer::Writer<'_>) {
                use $crate::diameter::{credit_control::group::Place, dictionary as d};
                $(Place::write_all(&self.$field, &d::$def, w);)*
            }
        }

        impl<'a> $crate::diameter::credit_control::group::Member<'a> for $name $(<$life>)? {
            fn read(avp: &$crate::diameter::avp::Avp<'a>) -> Option<Self> {
                Some(Self::parse(avp.data))
            }

            fn write(
                &self,
                def: &$crate::diameter::dictionary::AvpDef,
                w: &mut $crate::diameter::writer::Writer<'_>,
            ) {
                w.group(def, |w| self.write_members(w));
            }
        }
    };
}
pub(super) use group;

/// Declares an Enumerated: a value that is not known is passed over.
macro_rules! enumerated {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $value,)*
        }

        impl $name {
            /// From the wire.
            pub const fn from_value(value: u32) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl<'a> $crate::diameter::credit_control::group::Member<'a> for $name {
            fn read(avp: &$crate::diameter::avp::Avp<'a>) -> Option<Self> {
                Self::from_value(avp.u32().ok()?)
            }

            fn write(
                &self,
                def: &$crate::diameter::dictionary::AvpDef,
                w: &mut $crate::diameter::writer::Writer<'_>,
            ) {
                w.u32(def, *self as u32);
            }
        }
    };
}
pub(super) use enumerated;
