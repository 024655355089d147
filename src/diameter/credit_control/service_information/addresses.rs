//! Addresses of messages: Recipient-Address, Originator-Address and their kin (TS 32.299 7.2.8, 7.2.120, spec G-123).

use super::super::group::{enumerated, group};

group! {
    /// Any of the groups that hold an address and its type.
    pub struct MessageAddress<'a> {
        /// Address-Type.
        kind: Option<AddressType> = ADDRESS_TYPE,
        /// Address-Data: a number is international and has no `+`.
        data: Option<&'a str> = ADDRESS_DATA,
        /// Address-Domain.
        domain: Option<AddressDomain<'a>> = ADDRESS_DOMAIN,
        /// Addressee-Type: 0 to, 1 cc, 2 bcc.
        addressee: Option<u32> = ADDRESSEE_TYPE,
    }
}

enumerated! {
    /// Address-Type.
    pub enum AddressType {
        /// E-mail.
        Email = 0,
        /// International number.
        Msisdn = 1,
        /// IPv4.
        Ipv4 = 2,
        /// IPv6.
        Ipv6 = 3,
        /// Short code of digits.
        NumericShortcode = 4,
        /// Short code of letters.
        AlphanumericShortcode = 5,
        /// Other.
        Other = 6,
        /// IMSI.
        Imsi = 7,
    }
}

group! {
    /// Address-Domain.
    pub struct AddressDomain<'a> {
        /// Domain-Name.
        name: Option<&'a str> = DOMAIN_NAME,
        /// 3GPP-IMSI-MCC-MNC.
        network: Option<super::Plmn> = TGPP_IMSI_MCC_MNC,
    }
}

group! {
    /// Originator-Interface or Destination-Interface: between which nodes a message went (spec G-122).
    pub struct Interface<'a> {
        /// Interface-Id.
        id: Option<&'a str> = INTERFACE_ID,
        /// Interface-Text.
        text: Option<&'a str> = INTERFACE_TEXT,
        /// Interface-Port.
        port: Option<&'a str> = INTERFACE_PORT,
        /// Interface-Type.
        kind: Option<InterfaceType> = INTERFACE_TYPE,
    }
}

enumerated! {
    /// Interface-Type (TS 32.299 7.2.88).
    pub enum InterfaceType {
        /// Not known.
        Unknown = 0,
        /// From a mobile.
        MobileOriginating = 1,
        /// To a mobile.
        MobileTerminating = 2,
        /// From an application.
        ApplicationOriginating = 3,
        /// To an application.
        ApplicationTermination = 4,
    }
}
