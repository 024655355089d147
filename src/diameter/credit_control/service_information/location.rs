//! Where the user is and what time it is there: networks, cells, time zones (TS 29.061 16.4.7, TS 29.274 8.21, spec G-91,
//! G-92).

use std::{fmt, str};

use crate::diameter::{avp::Avp, dictionary::AvpDef, writer::Writer};

use super::super::group::Member;

/// A mobile network: MCC of three digits and MNC of two or three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plmn {
    /// ASCII digits, filled up with zeros.
    digits: [u8; 6],
    len: u8,
}

impl Plmn {
    /// From text such as `26201` or `310410`: the MNC is what follows the MCC (spec G-91).
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if !(5..=6).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut digits = [0; 6];
        digits.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { digits, len: text.len() as u8 })
    }

    /// From three octets of swapped digits; F stands for a third digit of the MNC that is not there (spec G-92).
    pub fn from_octets([a, b, c]: [u8; 3]) -> Option<Self> {
        let [mcc1, mcc2, mcc3] = [a & 15, a >> 4, b & 15];
        let [mnc1, mnc2, mnc3] = [c & 15, c >> 4, b >> 4];
        let short = mnc3 == 15;
        let all = [mcc1, mcc2, mcc3, mnc1, mnc2, if short { 0 } else { mnc3 }];
        if all.iter().any(|digit| *digit > 9) {
            return None;
        }
        let mut digits = all.map(|digit| b'0' + digit);
        if short {
            digits[5] = 0;
        }
        Some(Self { digits, len: if short { 5 } else { 6 } })
    }

    /// The three octets.
    pub fn to_octets(self) -> [u8; 3] {
        let [mcc1, mcc2, mcc3, mnc1, mnc2, mnc3] = self.digits.map(|digit| digit & 15);
        let mnc3 = if self.len == 5 { 15 } else { mnc3 };
        [mcc2 << 4 | mcc1, mnc3 << 4 | mcc3, mnc2 << 4 | mnc1]
    }

    /// All digits: the same for one network however it came.
    pub fn as_str(&self) -> &str {
        self.digits.get(..usize::from(self.len)).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
    }

    /// The country: three digits.
    pub fn mcc(&self) -> &str {
        self.as_str().get(..3).unwrap_or_default()
    }

    /// The network in its country: two or three digits.
    pub fn mnc(&self) -> &str {
        self.as_str().get(3..).unwrap_or_default()
    }
}

impl fmt::Debug for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_str())
    }
}

impl<'a> Member<'a> for Plmn {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        Self::from_text(avp.utf8().ok()?)
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.utf8(def, self.as_str());
    }
}

/// 3GPP-User-Location-Info. What is not known of the type, or too short for it, is absent; the octets are there always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserLocation<'a> {
    /// The network.
    pub plmn: Option<Plmn>,
    /// LAC or TAC: the area.
    pub area: Option<Area>,
    /// The cell, or the service area.
    pub cell: Option<Cell>,
    /// eNodeB id, macro or extended.
    pub enodeb: Option<u32>,
    /// As received: the first octet is the type.
    pub octets: &'a [u8],
}

/// A group of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Area {
    /// Location area.
    Lac(u16),
    /// Location area and the routing area in it.
    Rac(u16, u8),
    /// Tracking area: 16 bits in EPS, 24 bits in 5GS.
    Tac(u32),
}

/// A cell, as its radio network counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Cell identity of GSM and UMTS.
    Ci(u16),
    /// Service area code of UMTS.
    Sac(u16),
    /// E-UTRAN cell identifier, 28 bits.
    Eci(u32),
    /// NR cell identity, 36 bits.
    Nci(u64),
}

impl<'a> UserLocation<'a> {
    /// Reads the octets (spec G-92); never fails.
    pub fn parse(octets: &'a [u8]) -> Self {
        let mut location = Self { octets, ..Self::default() };
        let Some((kind, rest)) = octets.split_first() else { return location };
        match kind {
            0 => location.lac(rest, |rest| Some(Cell::Ci(take::<2>(rest)? as u16))),
            1 => location.lac(rest, |rest| Some(Cell::Sac(take::<2>(rest)? as u16))),
            2 => {
                location.lac(rest, |_| None);
                if let (Some(Area::Lac(lac)), Some(rac)) = (location.area, rest.get(5)) {
                    location.area = Some(Area::Rac(lac, *rac));
                }
            }
            128 => location.tai::<2>(rest),
            129 => location.ecgi(rest),
            130 => {
                location.tai::<2>(rest);
                location.ecgi(rest.get(5..).unwrap_or_default());
            }
            131 | 133 => location.enodeb(rest, *kind == 133),
            132 | 134 => {
                location.tai::<2>(rest);
                location.enodeb(rest.get(5..).unwrap_or_default(), *kind == 134);
            }
            135 => location.ncgi(rest),
            // The node of 138 and 139 has several forms; nothing is priced by it.
            136 | 139 => location.tai::<3>(rest),
            137 => {
                location.tai::<3>(rest);
                location.ncgi(rest.get(6..).unwrap_or_default());
            }
            _ => {}
        }
        location
    }

    /// The network; the first one counts: tracking area and cell may lie in different networks where they are shared.
    fn plmn(&mut self, octets: &[u8]) {
        let plmn = octets.first_chunk::<3>().and_then(|octets| Plmn::from_octets(*octets));
        self.plmn = self.plmn.or(plmn);
    }

    fn lac(&mut self, octets: &[u8], cell: impl FnOnce(&[u8]) -> Option<Cell>) {
        self.plmn(octets);
        self.area = octets.get(3..).and_then(take::<2>).map(|lac| Area::Lac(lac as u16));
        self.cell = octets.get(5..).and_then(cell);
    }

    fn tai<const N: usize>(&mut self, octets: &[u8]) {
        self.plmn(octets);
        self.area = octets.get(3..).and_then(take::<N>).map(|tac| Area::Tac(tac as u32));
    }

    fn ecgi(&mut self, octets: &[u8]) {
        self.plmn(octets);
        self.cell = octets.get(3..).and_then(take::<4>).map(|eci| Cell::Eci(eci as u32 & 0x0fff_ffff));
    }

    fn ncgi(&mut self, octets: &[u8]) {
        self.plmn(octets);
        self.cell = octets.get(3..).and_then(take::<5>).map(|nci| Cell::Nci(nci & 0xf_ffff_ffff));
    }

    /// A macro id has 20 bits; an extended one 21, or 18 of a short macro id when the first bit says so.
    fn enodeb(&mut self, octets: &[u8], extended: bool) {
        self.plmn(octets);
        let mask = |id: u64| match extended {
            false => id & 0x0f_ffff,
            true if id & 0x80_0000 != 0 => id & 0x03_ffff,
            true => id & 0x1f_ffff,
        };
        self.enodeb = octets.get(3..).and_then(take::<3>).map(|id| mask(id) as u32);
    }
}

/// A big-endian number of `N` octets.
fn take<const N: usize>(octets: &[u8]) -> Option<u64> {
    octets.get(..N).map(|octets| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

impl<'a> Member<'a> for UserLocation<'a> {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        Some(Self::parse(avp.data))
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.octets(def, self.octets);
    }
}

/// 3GPP-MS-TimeZone: the local time of the user (spec G-91, G-94).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MsTimeZone {
    /// Quarters of an hour ahead of UTC, daylight saving included; negative in the west.
    pub quarter_hours: i8,
    /// Hours of daylight saving time: 0 to 2.
    pub daylight_hours: u8,
}

impl MsTimeZone {
    /// Minutes ahead of UTC.
    pub const fn offset_minutes(self) -> i32 {
        self.quarter_hours as i32 * 15
    }

    /// From the two octets; `None` when the digits are none.
    pub fn from_octets([zone, daylight]: [u8; 2]) -> Option<Self> {
        // Swapped digits: the tens are below, with the sign above them.
        let (tens, units, negative) = (zone & 7, zone >> 4, zone & 8 != 0);
        let (quarters, daylight_hours) = ((tens * 10 + units) as i8, daylight & 3);
        // No place is further from UTC than 14 hours.
        if units > 9 || quarters > 14 * 4 || daylight_hours == 3 {
            return None;
        }
        Some(Self { quarter_hours: if negative { -quarters } else { quarters }, daylight_hours })
    }

    /// The two octets.
    pub const fn to_octets(self) -> [u8; 2] {
        let quarters = self.quarter_hours.unsigned_abs();
        let sign = if self.quarter_hours < 0 { 8 } else { 0 };
        [((quarters % 10) << 4) | sign | ((quarters / 10) & 7), self.daylight_hours & 3]
    }
}

impl<'a> Member<'a> for MsTimeZone {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        Self::from_octets(<[u8; 2]>::try_from(avp.data).ok()?)
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.octets(def, &self.to_octets());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diameter::vectors::hex;

    fn location(text: &str) -> (Option<String>, Option<Area>, Option<Cell>, Option<u32>) {
        let octets = hex(text);
        let found = UserLocation::parse(&octets);
        assert_eq!(found.octets, octets);
        (found.plmn.map(|plmn| plmn.as_str().to_owned()), found.area, found.cell, found.enodeb)
    }

    // tests: G-91, G-92, G-V3
    #[test]
    fn networks_in_both_forms() {
        for (text, octets, mnc) in [("26201", "62f210", "01"), ("310410", "130014", "410"), ("46000", "64f000", "00")] {
            let plmn = Plmn::from_text(text).unwrap();
            assert_eq!((plmn.mcc(), plmn.mnc()), (&text[..3], mnc));
            assert_eq!(plmn.to_octets()[..], hex(octets));
            assert_eq!(Plmn::from_octets(plmn.to_octets()), Some(plmn));
        }
        for text in ["", "2620", "2620100", "26x01", "26 01"] {
            assert_eq!(Plmn::from_text(text), None, "{text}");
        }
        assert_eq!(Plmn::from_octets([0xff, 0xff, 0xff]), None);
        // MNC 1 and 001 are two networks.
        assert_ne!(Plmn::from_text("31001"), Plmn::from_text("310010"));
    }

    // tests: G-92, G-V1, G-V2
    #[test]
    fn every_type_of_location() {
        let german = Some("26201".to_owned());
        for (octets, area, cell, enodeb) in [
            ("0062f2101234 5678", Some(Area::Lac(0x1234)), Some(Cell::Ci(0x5678)), None),
            ("0162f210 1234 5678", Some(Area::Lac(0x1234)), Some(Cell::Sac(0x5678)), None),
            ("0262f210 1234 56ff", Some(Area::Rac(0x1234, 0x56)), None, None),
            ("8062f210 0001", Some(Area::Tac(1)), None, None),
            ("8162f210 f0000101", None, Some(Cell::Eci(0x101)), None),
            ("8262f210 0001 62f210 00000101", Some(Area::Tac(1)), Some(Cell::Eci(0x101)), None),
            ("8362f210 f12345", None, None, Some(0x1_2345)),
            ("8462f210 0001 62f210 f12345", Some(Area::Tac(1)), None, Some(0x1_2345)),
            ("8562f210 112345", None, None, Some(0x11_2345)),
            ("8562f210 8f2345", None, None, Some(0x3_2345)),
            ("8662f210 0001 62f210 112345", Some(Area::Tac(1)), None, Some(0x11_2345)),
            ("8762f210 f123456789", None, Some(Cell::Nci(0x1_2345_6789)), None),
            ("8862f210 000102", Some(Area::Tac(0x102)), None, None),
            ("8962f210 000102 62f210 0123456789", Some(Area::Tac(0x102)), Some(Cell::Nci(0x1_2345_6789)), None),
            ("8b62f210 000102 62f210 00", Some(Area::Tac(0x102)), None, None),
        ] {
            let octets = octets.replace(' ', "");
            assert_eq!(location(&octets), (german.clone(), area, cell, enodeb), "{octets}");
        }
        assert_eq!(location("0013001412345678").0.as_deref(), Some("310410"));
    }

    // tests: G-92
    #[test]
    fn an_unknown_or_broken_location_is_none() {
        for octets in ["", "00", "ff62f2100001", "8a62f210", "80ffffff"] {
            assert_eq!(location(octets), (None, None, None, None), "{octets}");
        }
        // What is there is read.
        assert_eq!(location("8262f2100001"), (Some("26201".into()), Some(Area::Tac(1)), None, None));
        assert_eq!(location("0062f21012"), (Some("26201".into()), None, None, None));
    }

    // tests: G-91, G-94, G-V5
    #[test]
    fn time_zones() {
        for (octets, minutes, daylight) in
            [([0x40, 0], 60, 0), ([0x80, 1], 120, 1), ([0x0a, 0], -300, 0), ([0x23, 0], 480, 0), ([0, 0], 0, 0)]
        {
            let zone = MsTimeZone::from_octets(octets).unwrap();
            assert_eq!((zone.offset_minutes(), zone.daylight_hours), (minutes, daylight), "{octets:?}");
            assert_eq!(zone.to_octets(), octets);
        }
        for octets in [[0xa0, 0], [0x75, 0], [0x40, 3]] {
            assert_eq!(MsTimeZone::from_octets(octets), None, "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_some_location(octets in prop::collection::vec(any::<u8>(), 0..20)) {
            let found = UserLocation::parse(&octets);
            if let Some(plmn) = found.plmn {
                prop_assert_eq!(Plmn::from_text(plmn.as_str()), Some(plmn));
            }
        }
    }
}
