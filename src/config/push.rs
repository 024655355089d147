//! The way to whoever business events are pushed to, and whether it may go in clear.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{BadFile, ClientPems, Environment, Events, Secret, grpc, tls};

/// `[events.push_tls]`: TLS to the sink.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushTls {
    /// Certificates of the authorities that the sink's certificate comes from: PEM.
    pub ca: PathBuf,
    /// The certificate that is shown to the sink, and those between it and its authority: PEM; empty = none.
    pub certificate: PathBuf,
    /// Its private key: PEM.
    pub key: PathBuf,
}

impl Events {
    /// What is shown to the sink, and believed of it; `None` = it is not called over TLS.
    ///
    /// # Errors
    /// The first file that cannot be read, is not what it should be, or does not fit the others.
    pub fn push_pems(&self) -> Result<Option<ClientPems>, BadFile> {
        if !is_https(&self.push) {
            return Ok(None);
        }
        let PushTls { ca, certificate, key } = &self.push_tls;
        let identity = is_set(certificate).then_some((("certificate", certificate.as_path()), ("key", key.as_path())));
        ClientPems::read(("ca", ca), identity).map(Some)
    }

    /// The token that is shown to the sink; `None` = none.
    ///
    /// # Errors
    /// The key that names it, and why there is none.
    pub fn push_token(&self, environment: &dyn Environment) -> Result<Option<Secret>, BadFile> {
        let file = is_set(&self.push_token_file).then_some(self.push_token_file.as_path());
        let variable = (!self.push_token_env.is_empty()).then_some(self.push_token_env.as_str());
        grpc::token(("push_token_file", file), ("push_token_env", variable), environment)
    }

    /// Relative paths begin at the directory of the configuration file.
    pub(super) fn resolve(&mut self, directory: &Path) {
        let PushTls { ca, certificate, key } = &mut self.push_tls;
        [ca, certificate, key, &mut self.push_token_file].into_iter().for_each(|file| tls::resolve(file, directory));
    }

    /// Every rule that the keys of the push break: the key, and what would be right.
    pub(super) fn broken_push_rules(&self) -> Vec<(&'static str, String)> {
        let (url, tls) = (&self.push, &self.push_tls);
        let mut broken = Vec::new();
        if !url.is_empty() && !url.starts_with("http://") && !is_https(url) {
            let message =
                format!("`push` is `{url}`: write https://HOST:PORT, or http:// on loopback, or \"\" for none");
            broken.push(("events.push", message));
        } else if !url.is_empty() && in_clear_beyond_loopback(url) {
            let message = format!(
                "`push` is `{url}`: events name subscribers, so they go in clear on loopback only: write https:// and fill \
                 in [events.push_tls]"
            );
            broken.push(("events.push", message));
        }
        if is_https(url) && !is_set(&tls.ca) {
            let message = "`ca` is empty: https:// needs the authority that the sink's certificate comes from";
            broken.push(("events.push_tls.ca", message.into()));
        }
        if is_set(&tls.certificate) != is_set(&tls.key) {
            let (key, empty) = if is_set(&tls.key) {
                ("events.push_tls.certificate", "certificate")
            } else {
                ("events.push_tls.key", "key")
            };
            broken.push((key, format!("`{empty}` is empty: write `certificate` and `key`, or neither")));
        }
        if is_set(&self.push_token_file) && !self.push_token_env.is_empty() {
            let message = "`push_token_env`: there is `push_token_file` already: leave one of them out";
            broken.push(("events.push_token_env", message.into()));
        }
        broken
    }

    /// What is wrong with the files and variables that the push needs. Paths are resolved.
    pub(super) fn push_problems_here(&self, environment: &dyn Environment) -> Vec<(&'static str, String)> {
        let place = |(key, message): BadFile| match key {
            "ca" => ("events.push_tls.ca", message),
            "certificate" => ("events.push_tls.certificate", message),
            "key" => ("events.push_tls.key", message),
            "push_token_env" => ("events.push_token_env", message),
            _ => ("events.push_token_file", message),
        };
        let (pems, token) = (self.push_pems().err(), self.push_token(environment).err());
        pems.into_iter().chain(token).map(place).collect()
    }
}

/// Whether what is sent to a URL goes in clear and leaves this machine, as far as can be seen without asking for its address.
pub fn in_clear_beyond_loopback(url: &str) -> bool {
    if is_https(url) {
        return false;
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let here = host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    // `127.0.0.1:x@elsewhere` is elsewhere.
    !here || authority.contains('@')
}

/// Whether a URL is called over TLS.
pub fn is_https(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
}

fn is_set(file: &Path) -> bool {
    !file.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_stays_on_this_machine() {
        for url in [
            "http://127.0.0.1:50051",
            "http://127.1.2.3",
            "http://[::1]:50051/x",
            "http://localhost:1",
            "http://LocalHost",
            "https://192.0.2.1:50051",
            "HTTPS://192.0.2.1:50051",
        ] {
            assert!(!in_clear_beyond_loopback(url), "{url}");
        }
        for url in [
            "http://192.0.2.1:50051",
            "http://0.0.0.0:1",
            "http://[::]:50051",
            "http://[2001:db8::1]",
            "http://sink:50060",
            "http://localhost.example:1",
            "http://127.0.0.1@sink.example:1",
            "http://127.0.0.1:x@sink.example",
            "http://sink.example/127.0.0.1:1",
            "http://127.0.0.1@sink.example",
            "http://[::1]@sink.example",
            "HTTP://192.0.2.1:1",
            "192.0.2.1:1",
            "http://",
        ] {
            assert!(in_clear_beyond_loopback(url), "{url}");
        }
    }
}
