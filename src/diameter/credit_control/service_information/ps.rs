//! PS-Information (TS 32.299 7.2.158, TS 32.251, spec G-91): packet data, also of 5G data connectivity (context 32255).

use std::borrow::Cow;

use crate::{
    diameter::avp::{Address, Avps},
    time::Timestamp,
};

use super::{
    super::{
        group::{Few, group},
        qos::QosInformation,
    },
    location::{MsTimeZone, Plmn, UserLocation},
};

group! {
    /// PS-Information, as far as it matters for rating and records. In updates it may hold only what has changed
    /// (spec G-96).
    pub struct PsInformation<'a> {
        /// 3GPP-Charging-Id.
        charging_id: Option<u32> = TGPP_CHARGING_ID,
        /// PDN-Connection-Charging-ID: ties the bearers of one connection together (spec G-90).
        connection_charging_id: Option<u32> = PDN_CONNECTION_CHARGING_ID,
        /// Node-Id.
        node_id: Option<&'a str> = NODE_ID,
        /// 3GPP-PDP-Type: 0 IPv4, 1 PPP, 2 IPv6, 3 IPv4v6, 4 non-IP.
        pdp_type: Option<u32> = TGPP_PDP_TYPE,
        /// PDP-Address: up to two, of IPv4 and of IPv6.
        pdp_addresses: Few<Address<'a>, 2> = PDP_ADDRESS,
        /// PDP-Address-Prefix-Length; 64 when absent.
        prefix_length: Option<u32> = PDP_ADDRESS_PREFIX_LENGTH,
        /// Dynamic-Address-Flag.
        dynamic_address: Option<bool> = DYNAMIC_ADDRESS_FLAG,
        /// QoS-Information of the bearer.
        qos: Option<QosInformation> = QOS_INFORMATION,
        /// SGSN-Address: the serving node, whatever its type.
        serving_node: Option<Address<'a>> = SGSN_ADDRESS,
        /// GGSN-Address: the gateway.
        gateway: Option<Address<'a>> = GGSN_ADDRESS,
        /// SGW-Address.
        sgw: Option<Address<'a>> = SGW_ADDRESS,
        /// ePDG-Address.
        epdg: Option<Address<'a>> = EPDG_ADDRESS,
        /// TWAG-Address.
        twag: Option<Address<'a>> = TWAG_ADDRESS,
        /// TDF-IP-Address.
        tdf: Option<Address<'a>> = TDF_IP_ADDRESS,
        /// CG-Address.
        charging_gateway: Option<Address<'a>> = CG_ADDRESS,
        /// Serving-Node-Type: 0 SGSN, 1 PMIPSGW, 2 GTPSGW, 3 ePDG, 4 hSGW, 5 MME, 6 TWAN.
        serving_node_type: Option<u32> = SERVING_NODE_TYPE,
        /// 3GPP-IMSI-MCC-MNC: the home network.
        home_network: Option<Plmn> = TGPP_IMSI_MCC_MNC,
        /// 3GPP-GGSN-MCC-MNC: the gateway's network.
        gateway_network: Option<Plmn> = TGPP_GGSN_MCC_MNC,
        /// 3GPP-SGSN-MCC-MNC: the serving network. See [`PsInformation::serving_network`].
        sgsn_network: Option<Plmn> = TGPP_SGSN_MCC_MNC,
        /// 3GPP-NSAPI: one character.
        nsapi: Option<&'a [u8]> = TGPP_NSAPI,
        /// Called-Station-Id: the APN or DNN as received, see [`PsInformation::apn`].
        called_station: Option<&'a str> = CALLED_STATION_ID,
        /// 3GPP-Session-Stop-Indicator.
        session_stop: Option<u8> = TGPP_SESSION_STOP_INDICATOR,
        /// 3GPP-Selection-Mode: `0`, `1` or `2`.
        selection_mode: Option<&'a str> = TGPP_SELECTION_MODE,
        /// 3GPP-Charging-Characteristics: four hexadecimal digits, such as `0800`.
        charging_characteristics: Option<&'a str> = TGPP_CHARGING_CHARACTERISTICS,
        /// 3GPP-MS-TimeZone.
        time_zone: Option<MsTimeZone> = TGPP_MS_TIMEZONE,
        /// 3GPP-User-Location-Info.
        location: Option<UserLocation<'a>> = TGPP_USER_LOCATION_INFO,
        /// 3GPP-RAT-Type: one octet, such as 6 for E-UTRAN and 51 for NG-RAN.
        rat_type: Option<u8> = TGPP_RAT_TYPE,
        /// Charging-Rule-Base-Name: the first ones.
        rule_bases: Few<&'a str, 4> = CHARGING_RULE_BASE_NAME,
        /// User-Equipment-Info: its members, see [`super::super::UserEquipment::parse`].
        user_equipment: Option<&'a [u8]> = USER_EQUIPMENT_INFO,
        /// Terminal-Information.
        terminal: Option<TerminalInformation<'a>> = TERMINAL_INFORMATION,
        /// Start-Time.
        start: Option<Timestamp> = START_TIME,
        /// Stop-Time.
        stop: Option<Timestamp> = STOP_TIME,
        /// Presence-Reporting-Area-Information.
        presence: Option<PresenceArea<'a>> = PRESENCE_REPORTING_AREA_INFORMATION,
        /// User-CSG-Information.
        csg: Option<UserCsg> = USER_CSG_INFORMATION,
        /// TWAN-User-Location-Info: its members.
        twan_location: Option<&'a [u8]> = TWAN_USER_LOCATION_INFO,
        /// 3GPP-PS-Data-Off-Status: 0 active, 1 inactive.
        data_off: Option<u32> = TGPP_PS_DATA_OFF_STATUS,
        /// 3GPP2-BSID.
        bsid: Option<&'a str> = TGPP2_BSID,
    }
}

group! {
    /// Terminal-Information (TS 29.272).
    pub struct TerminalInformation<'a> {
        /// IMEI.
        imei: Option<&'a str> = IMEI,
        /// Software-Version.
        software_version: Option<&'a str> = SOFTWARE_VERSION,
    }
}

group! {
    /// Presence-Reporting-Area-Information (TS 29.212).
    pub struct PresenceArea<'a> {
        /// Presence-Reporting-Area-Identifier.
        id: Option<&'a [u8]> = PRESENCE_REPORTING_AREA_IDENTIFIER,
        /// Presence-Reporting-Area-Status: 0 inside, 1 outside, 2 not known.
        status: Option<u32> = PRESENCE_REPORTING_AREA_STATUS,
    }
}

group! {
    /// User-CSG-Information: the closed group of cells.
    pub struct UserCsg {
        /// CSG-Id.
        id: Option<u32> = CSG_ID,
        /// CSG-Access-Mode: 0 closed, 1 hybrid.
        access_mode: Option<u32> = CSG_ACCESS_MODE,
        /// CSG-Membership-Indication.
        member: Option<bool> = CSG_MEMBERSHIP_INDICATION,
    }
}

impl<'a> PsInformation<'a> {
    /// The network that serves the user: 3GPP-SGSN-MCC-MNC, else that of the location (spec G-93).
    pub fn serving_network(&self) -> Option<Plmn> {
        self.sgsn_network.or_else(|| self.location.and_then(|location| location.plmn))
    }

    /// The APN for comparison: without the operator's suffix and in lower case (spec G-91). Copied only where the client
    /// used upper case.
    pub fn apn(&self) -> Option<Cow<'a, str>> {
        let apn = without_operator(self.called_station?);
        Some(match apn.bytes().any(|octet| octet.is_ascii_uppercase()) {
            true => Cow::Owned(apn.to_ascii_lowercase()),
            false => Cow::Borrowed(apn),
        })
    }

    /// Some old clients put 3GPP-AVPs and Called-Station-Id at command level (spec G-95): what PS-Information lacks is
    /// looked for there. Only the AVPs of TS 29.061 and the APN, because other members mean something else outside.
    pub(super) fn or_of_the_command(&mut self, body: &'a [u8]) {
        for avp in Avps::new(body).map_while(Result::ok).filter(|avp| is_taken_over(avp.vendor, avp.code)) {
            self.read_members(avp.raw);
        }
    }
}

/// Codes of TS 29.061 are those of RADIUS, 1 to 255, in 3GPP's own space.
const fn is_taken_over(vendor: u32, code: u32) -> bool {
    use crate::diameter::dictionary::{CALLED_STATION_ID, vendor as vendors};
    match vendor {
        vendors::TGPP => code < 256,
        vendors::IETF => code == CALLED_STATION_ID.code,
        _ => false,
    }
}

/// `internet.mnc001.mcc262.gprs` is `internet`, in any case of the letters.
fn without_operator(apn: &str) -> &str {
    const SUFFIX: usize = ".mnc001.mcc262.gprs".len();
    let Some((name, suffix)) = apn.len().checked_sub(SUFFIX).and_then(|at| apn.split_at_checked(at)) else {
        return apn;
    };
    let matches = suffix.bytes().zip(".mnc000.mcc000.gprs".bytes()).all(|(found, wanted)| match wanted {
        b'0' => found.is_ascii_digit(),
        _ => found.to_ascii_lowercase() == wanted,
    });
    if matches && !name.is_empty() { name } else { apn }
}
