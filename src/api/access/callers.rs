//! Who calls: what a call shows, compared with what the callers of the configuration have.

use std::sync::Arc;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::ConstantTimeEq as _;

use super::{Refusal, Role};
use crate::config::{BadFile, Environment, Grpc};

/// The callers of the configuration.
#[derive(Debug)]
pub(super) struct Callers(Vec<Known>);

/// A caller that has shown what it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) name: Arc<str>,
    pub(super) roles: Arc<[Role]>,
}

#[derive(Debug)]
struct Known {
    who: Proven,
    /// The name that its certificate must have.
    certificate: Option<String>,
    token: Option<Digest>,
}

/// The hash of a token: the token itself is not kept.
#[derive(Debug)]
struct Digest([u8; SHA256_OUTPUT_LEN]);

impl Digest {
    fn of(token: &[u8]) -> Self {
        let mut octets = [0; SHA256_OUTPUT_LEN];
        octets.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(octets)
    }
}

impl Callers {
    /// Those of the configuration, with their tokens.
    ///
    /// # Errors
    /// A token cannot be read: whose, and why.
    pub(super) fn read(grpc: &Grpc, environment: &dyn Environment) -> Result<Self, String> {
        let known = grpc.caller.iter().map(|caller| {
            let token = caller.token(environment);
            let token = token.map_err(|(_, why): BadFile| format!("caller `{}`: {why}", caller.name))?;
            Ok(Known {
                who: Proven { name: caller.name.as_str().into(), roles: caller.all_roles().into() },
                certificate: caller.certificate.clone(),
                token: token.map(|token| Digest::of(token.expose().as_bytes())),
            })
        });
        known.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller that a token belongs to, or else a certificate. `names` = those of the certificate, if one was shown.
    pub(super) fn identify(&self, names: Option<&[String]>, token: Option<&[u8]>) -> Result<&Proven, Refusal> {
        match (token, names) {
            (Some(token), names) => self.by_token(token, names),
            (None, Some(names)) => self.by_certificate(names),
            (None, None) => Err(Refusal::NoCredentials),
        }
    }

    fn by_token(&self, token: &[u8], names: Option<&[String]>) -> Result<&Proven, Refusal> {
        let shown = Digest::of(token);
        let mut found = None;
        // All are compared, whichever fits: the time tells nothing.
        for known in &self.0 {
            if known.token.as_ref().is_some_and(|token| token.0.ct_eq(&shown.0).into()) {
                found = Some(known);
            }
        }
        let known = found.ok_or(Refusal::WrongToken)?;
        match &known.certificate {
            Some(certificate) if !is_named(certificate, names.unwrap_or_default()) => Err(Refusal::CertificateMissing),
            _ => Ok(&known.who),
        }
    }

    fn by_certificate(&self, names: &[String]) -> Result<&Proven, Refusal> {
        let fits = |known: &&Known| known.certificate.as_ref().is_some_and(|certificate| is_named(certificate, names));
        let (with_token, without): (Vec<_>, Vec<_>) =
            self.0.iter().filter(fits).partition(|known| known.token.is_some());
        match (without.as_slice(), with_token.as_slice()) {
            ([known], _) => Ok(&known.who),
            ([_, _, ..], _) => Err(Refusal::SeveralCallers),
            ([], [_, ..]) => Err(Refusal::TokenMissing),
            ([], []) => Err(Refusal::UnknownCertificate(names.join(", "))),
        }
    }
}

/// Whether a certificate with these names is the one that the configuration means. No wildcards: it is one caller.
fn is_named(certificate: &str, names: &[String]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: [(&str, &str); 2] =
        [("SHOP", "shop-shop-shop-shop-shop-shop-shop"), ("BOTH", "both-both-both-both-both-both-both")];
    const SHOP: Option<&[u8]> = Some(VARIABLES[0].1.as_bytes());
    const BOTH: Option<&[u8]> = Some(VARIABLES[1].1.as_bytes());

    fn callers() -> Callers {
        let text = r#"
            [[caller]]
            name = "shop"
            role = "self-service"
            token_env = "SHOP"
            [[caller]]
            name = "crm"
            roles = ["care", "auditor"]
            certificate = "crm.example"
            [[caller]]
            name = "hlr"
            role = "provisioning"
            certificate = "hlr.example"
            [[caller]]
            name = "both"
            role = "operator"
            certificate = "both.example"
            token_env = "BOTH"
        "#;
        Callers::read(&toml::from_str(text).unwrap(), &VARIABLES).unwrap()
    }

    /// Who it is, or why it is nobody.
    fn identified(names: Option<&[&str]>, token: Option<&[u8]>) -> Result<String, &'static str> {
        let names: Option<Vec<String>> = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let callers = callers();
        let found = callers.identify(names.as_deref(), token);
        found.map(|who| who.name.to_string()).map_err(|refusal| refusal.reason())
    }

    #[test]
    fn a_caller_is_known_by_what_the_configuration_says_of_it() {
        for (names, token, who) in [
            (None, SHOP, Ok("shop")),
            (Some(&["crm.example"][..]), None, Ok("crm")),
            (Some(&["other.example", "CRM.example"]), None, Ok("crm")),
            // The token says who calls, whoever's connection carries it.
            (Some(&["crm.example"]), SHOP, Ok("shop")),
            (Some(&["both.example"]), BOTH, Ok("both")),
            // One of two is not enough.
            (None, BOTH, Err("certificate_missing")),
            (Some(&["crm.example"]), BOTH, Err("certificate_missing")),
            (Some(&["both.example"]), None, Err("token_missing")),
            (Some(&["hlr.example", "crm.example"]), None, Err("several_callers")),
            (Some(&["pgw.example"]), None, Err("unknown_certificate")),
            (Some(&["a.crm.example"]), None, Err("unknown_certificate")),
            (Some(&[]), None, Err("unknown_certificate")),
            (None, None, Err("no_credentials")),
            // A wrong token is no better for a certificate that would do.
            (Some(&["crm.example"]), Some(b"shop-shop-shop-shop-shop-shop-sho"), Err("wrong_token")),
            (None, Some(b""), Err("wrong_token")),
        ] {
            assert_eq!(identified(names, token), who.map(str::to_owned), "{names:?} {token:?}");
        }
    }

    #[test]
    fn roles_come_with_the_name_and_tokens_are_not_kept() {
        let callers = callers();
        let crm = callers.identify(Some(&["crm.example".to_owned()]), None).unwrap();
        assert_eq!(*crm.roles, [Role::Care, Role::Auditor]);
        let printed = format!("{callers:?}");
        assert!(!printed.contains("shop-shop") && !printed.contains("both-both"), "{printed}");
    }

    #[test]
    fn a_token_that_cannot_be_read_names_its_caller() {
        let grpc = toml::from_str("[[caller]]\nname = \"shop\"\nrole = \"care\"\ntoken_env = \"GONE\"\n").unwrap();
        let why = Callers::read(&grpc, &VARIABLES).unwrap_err();
        assert_eq!(why, "caller `shop`: `token_env`: the variable GONE is not set");
    }
}
