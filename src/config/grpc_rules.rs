//! What `[grpc]` must not say: an API in the open, or callers that are not who they seem.

use super::{Environment, Grpc, GrpcCaller, Role, VARIABLE_PREFIX};

/// Letters of a caller's name: it is a label of metrics and a word of the audit trail.
const NAME_MAX: usize = 64;
/// Names that the API itself gives: to whoever calls where no callers are configured, and to nobody.
const RESERVED: [&str; 3] = ["local", "unknown", "none"];

/// The key that breaks a rule, and what would be right.
type Broken = (String, String);

impl Grpc {
    /// Every broken rule.
    pub(super) fn broken_rules(&self) -> Vec<Broken> {
        let mut broken: Vec<Broken> = self.exposed().map(|why| ("grpc.listen".to_owned(), why)).into_iter().collect();
        broken.extend(self.broken_tls().into_iter().map(|(key, why)| (format!("grpc.tls.{key}"), why)));
        for (index, caller) in self.caller.iter().enumerate() {
            let rules = self.broken_caller(index, caller).into_iter();
            let name = |why| {
                if caller.name.is_empty() {
                    format!("caller {}: {why}", index + 1)
                } else {
                    format!("caller `{}`: {why}", caller.name)
                }
            };
            broken.extend(rules.map(|(key, why)| (format!("grpc.caller.{index}.{key}"), name(why))));
        }
        broken
    }

    /// Why the address must not be listened on.
    pub fn exposed(&self) -> Option<String> {
        let listen = self.listen;
        if listen.ip().is_loopback() {
            return None;
        }
        if !self.tls.is_on() {
            return Some(format!(
                "`listen` is {listen}: the API moves money, so without TLS it listens on loopback only: fill in [grpc.tls], \
                 or listen on 127.0.0.1 or [::1]"
            ));
        }
        self.caller.is_empty().then(|| {
            format!(
                "`listen` is {listen}: beyond loopback the API serves only whom it knows: add [[grpc.caller]] for each, with \
                 its role"
            )
        })
    }

    fn broken_tls(&self) -> Vec<(&'static str, String)> {
        let tls = &self.tls;
        let [certificate, key, client_ca] =
            [&tls.certificate, &tls.key, &tls.client_ca].map(|file| !file.as_os_str().is_empty());
        let needs = "TLS needs `certificate` and `key`, or neither of them";
        let mut broken = Vec::new();
        if (key || client_ca) && !certificate {
            broken.push(("certificate", format!("`certificate` is empty: {needs}")));
        }
        if (certificate || client_ca) && !key {
            broken.push(("key", format!("`key` is empty: {needs}")));
        }
        if client_ca && self.caller.iter().all(|caller| caller.certificate.is_none()) {
            let why = "`client_ca`: no caller proves itself by a certificate: give a [[grpc.caller]] its `certificate`, or \
                       leave this out";
            broken.push(("client_ca", why.to_owned()));
        }
        broken
    }

    fn broken_caller(&self, index: usize, caller: &GrpcCaller) -> Vec<(&'static str, String)> {
        let others = &self.caller[..index];
        let mut broken: Vec<(&'static str, String)> = Vec::new();
        if let Some(why) = name_problem(&caller.name) {
            broken.push(("name", format!("`name` {why}")));
        } else if others.iter().any(|other| other.name.eq_ignore_ascii_case(&caller.name)) {
            broken.push(("name", "is listed twice".into()));
        }
        match (caller.role, caller.roles.as_slice()) {
            (None, []) => broken.push(("role", format!("`role` is missing: {}", Role::ALL.map(Role::name).join(", ")))),
            (Some(_), [_, ..]) => broken.push(("roles", "write `role` or `roles`, not both".into())),
            _ => {}
        }
        let by_token = caller.token_file.is_some() || caller.token_env.is_some();
        if caller.certificate.is_none() && !by_token {
            let why = "nothing proves who it is: write `certificate`, `token_file` or `token_env`";
            broken.push(("name", why.into()));
        }
        if caller.token_file.is_some() && caller.token_env.is_some() {
            broken.push(("token_env", "there is `token_file` already: leave one of them out".into()));
        }
        if caller.token_file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            broken.push(("token_file", "`token_file` is empty".into()));
        }
        if let Some(variable) = &caller.token_env
            && (variable.is_empty() || variable.starts_with(VARIABLE_PREFIX))
        {
            let why =
                format!("`token_env` is `{variable}`: name a variable, and none that begins with {VARIABLE_PREFIX}");
            broken.push(("token_env", why));
        }
        if let Some(certificate) = &caller.certificate {
            if self.tls.client_ca.as_os_str().is_empty() {
                let why = "`certificate` needs an authority that it comes from: fill in `client_ca` of [grpc.tls]";
                broken.push(("certificate", why.into()));
            }
            let same = |other: &&GrpcCaller| {
                let theirs = other.certificate.as_ref().is_some_and(|theirs| theirs.eq_ignore_ascii_case(certificate));
                theirs && other.token_file.is_none() && other.token_env.is_none() && !by_token
            };
            if certificate.is_empty() || certificate.contains('*') {
                let why = format!("`certificate` is `{certificate}`: write the one name that its certificate has");
                broken.push(("certificate", why));
            } else if let Some(other) = others.iter().find(same) {
                broken.push(("certificate", format!("caller `{}` has the same `certificate`", other.name)));
            }
        }
        broken
    }

    /// What is wrong with the files and variables that are named here. Paths are resolved.
    pub(super) fn problems_here(&self, environment: &dyn Environment) -> Vec<Broken> {
        let mut problems = Vec::new();
        if self.tls.is_on()
            && let Err((key, message)) = self.tls.load()
        {
            problems.push((format!("grpc.tls.{key}"), message));
        }
        let mut known: Vec<(&str, String)> = Vec::new();
        for (index, caller) in self.caller.iter().enumerate() {
            match caller.token(environment) {
                Ok(Some(token)) => {
                    if let Some((other, _)) = known.iter().find(|(_, other)| other == token.expose()) {
                        let why = format!("caller `{}`: its token is that of caller `{other}`", caller.name);
                        problems.push((format!("grpc.caller.{index}"), why));
                    }
                    known.push((&caller.name, token.expose().to_owned()));
                }
                Ok(None) => {}
                Err((key, message)) => {
                    problems
                        .push((format!("grpc.caller.{index}.{key}"), format!("caller `{}`: {message}", caller.name)));
                }
            }
        }
        problems
    }
}

fn name_problem(name: &str) -> Option<String> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b'@');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(allowed) {
        Some(format!("must be 1 to {NAME_MAX} letters, digits, `.`, `-`, `_` and `@`"))
    } else if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        Some("is one that the API itself gives: choose another".into())
    } else {
        None
    }
}
