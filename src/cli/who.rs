//! Naming an account on the command line.

use anyhow::bail;
use clap::Args;

use crate::api::v1::{self, account_ref::By, identity::Kind};

/// An account: by an identity of one of its subscribers, or by its id.
#[derive(Debug, Clone, Args)]
pub struct Who {
    /// MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI
    // It may be left out before a number below zero, which must not look like an option then.
    #[arg(value_name = "SUBSCRIBER", conflicts_with = "account", allow_negative_numbers = true)]
    pub identity: Option<String>,
    /// Account id, instead of a subscriber
    #[arg(long, value_name = "ID")]
    pub account: Option<u64>,
}

impl Who {
    /// What was named, if anything was.
    pub(super) fn find(&self) -> anyhow::Result<Option<v1::AccountRef>> {
        let by = match (&self.identity, self.account) {
            (_, Some(id)) => By::AccountId(id),
            (Some(text), None) => By::Identity(identity(text)?),
            (None, None) => return Ok(None),
        };
        Ok(Some(v1::AccountRef { by: Some(by) }))
    }

    /// What was named; something must be.
    pub(super) fn account(&self) -> anyhow::Result<Option<v1::AccountRef>> {
        match self.find()? {
            None => {
                bail!("name a subscriber (such as 8613900000001 or imsi:460000000000001) or an account (--account 1)")
            }
            found => Ok(found),
        }
    }
}

/// An identity as people write it: a prefix says its kind, digits alone are an MSISDN.
pub(super) fn identity(text: &str) -> anyhow::Result<v1::Identity> {
    let is = |kind: Kind, value: &str| Ok(v1::Identity { kind: kind.into(), value: value.to_owned() });
    match text.split_once(':') {
        Some(("msisdn" | "tel", number)) => is(Kind::E164, number),
        Some(("imsi", number)) => is(Kind::Imsi, number),
        Some(("sip" | "sips", _)) => is(Kind::SipUri, text),
        Some(("nai", name)) => is(Kind::Nai, name),
        Some(("private", name)) => is(Kind::Private, name),
        None if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+') => is(Kind::E164, text),
        _ => bail!("`{text}` is no identity: write an MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI"),
    }
}

/// As [`identity`] writes it.
pub(super) fn written(identity: &v1::Identity) -> String {
    let prefix = match identity.kind() {
        Kind::Unspecified | Kind::E164 | Kind::SipUri => "",
        Kind::Imsi => "imsi:",
        Kind::Nai => "nai:",
        Kind::Private => "private:",
    };
    format!("{prefix}{}", identity.value)
}
