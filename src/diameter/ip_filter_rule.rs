//! The text of an IPFilterRule (RFC 6733 4.3.1, spec B-50), as it stands in Restriction-Filter-Rule. It is only checked:
//! the gateway carries it out.

use std::net::IpAddr;

/// Checks a rule before it is sent to anyone: a gateway that can't read it may let everything through.
///
/// `permit|deny in|out PROTOCOL from SOURCE to DESTINATION [OPTIONS]`
///
/// # Errors
/// What is wrong with it, in words for the one who wrote it.
pub fn check_ip_filter_rule(rule: &str) -> Result<(), FilterRuleError> {
    if !rule.is_ascii() {
        return Err(FilterRuleError::NotAscii);
    }
    let mut words = rule.split_ascii_whitespace();
    one_of(words.next(), &["permit", "deny"], "`permit` or `deny`")?;
    one_of(words.next(), &["in", "out"], "`in` (from the user) or `out` (to the user)")?;
    let protocol = words.next().unwrap_or_default();
    if protocol != "ip" && number::<u8>(protocol).is_none() {
        return Err(wrong(protocol, "`ip` or the number of a protocol"));
    }
    one_of(words.next(), &["from"], "`from`")?;
    let mut words = words.peekable();
    address(words.next())?;
    ports(&mut words, "to")?;
    one_of(words.next(), &["to"], "`to`")?;
    address(words.next())?;
    ports(&mut words, "")?;
    options(words)
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterRuleError {
    /// Only ASCII is allowed.
    #[error("a filter rule is ASCII text")]
    NotAscii,
    /// Something else was expected at this place.
    #[error("`{found}` stands where {expected} is expected")]
    Unexpected {
        /// What is there; empty at the end.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
}

fn wrong(found: &str, expected: &'static str) -> FilterRuleError {
    FilterRuleError::Unexpected { found: found.to_owned(), expected }
}

fn one_of(word: Option<&str>, allowed: &[&str], expected: &'static str) -> Result<(), FilterRuleError> {
    let word = word.unwrap_or_default();
    if allowed.contains(&word) { Ok(()) } else { Err(wrong(word, expected)) }
}

/// `any`, `assigned`, `192.0.2.0/24`, each perhaps with a `!` before it.
fn address(word: Option<&str>) -> Result<(), FilterRuleError> {
    const EXPECTED: &str = "`any`, `assigned` or an address with perhaps `/bits`";
    let word = word.unwrap_or_default();
    let plain = word.strip_prefix('!').unwrap_or(word);
    if matches!(plain, "any" | "assigned") {
        return Ok(());
    }
    let (ip, bits) = plain.split_once('/').map_or((plain, None), |(ip, bits)| (ip, Some(bits)));
    let most = match ip.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return Err(wrong(word, EXPECTED)),
    };
    match bits.map(number::<u8>) {
        None => Ok(()),
        Some(Some(bits)) if bits <= most => Ok(()),
        Some(_) => Err(wrong(word, EXPECTED)),
    }
}

/// `80,443,1000-2000` after an address, unless the next word is `end` or an option.
fn ports<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, end: &str) -> Result<(), FilterRuleError> {
    let Some(list) = words.next_if(|word| *word != end && word.starts_with(|c: char| c.is_ascii_digit())) else {
        return Ok(());
    };
    let port = |port: &str| number::<u16>(port);
    let right = list.split(',').all(|range| match range.split_once('-') {
        None => port(range).is_some(),
        Some((first, last)) => matches!((port(first), port(last)), (Some(first), Some(last)) if first <= last),
    });
    if right { Ok(()) } else { Err(wrong(list, "a list of ports such as `80,443,1000-2000`")) }
}

fn options<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<(), FilterRuleError> {
    while let Some(option) = words.next() {
        let (allowed, expected): (fn(&str) -> bool, _) = match option {
            "frag" | "established" | "setup" => continue,
            "ipoptions" => (|it| matches!(it, "ssrr" | "lsrr" | "rr" | "ts"), "`ssrr`, `lsrr`, `rr` or `ts`"),
            "tcpoptions" => {
                (|it| matches!(it, "mss" | "window" | "sack" | "ts" | "cc"), "`mss`, `window`, `sack`, `ts` or `cc`")
            }
            "tcpflags" => (
                |it| matches!(it, "fin" | "syn" | "rst" | "psh" | "ack" | "urg"),
                "`fin`, `syn`, `rst`, `psh`, `ack` or `urg`",
            ),
            "icmptypes" => (is_icmp_type, "numbers of ICMP types"),
            _ => return Err(wrong(option, "an option or the end")),
        };
        let list = words.next().unwrap_or_default();
        // A `!` in front of one means that it must be absent.
        let negatable = option != "icmptypes";
        let plain = |it: &'a str| if negatable { it.strip_prefix('!').unwrap_or(it) } else { it };
        if !list.split(',').all(|it| allowed(plain(it))) {
            return Err(wrong(list, expected));
        }
    }
    Ok(())
}

fn is_icmp_type(text: &str) -> bool {
    match text.split_once('-') {
        None => number::<u8>(text).is_some(),
        Some((first, last)) => number::<u8>(first).zip(number::<u8>(last)).is_some_and(|(first, last)| first <= last),
    }
}

/// Digits and nothing else: `parse` would take a sign as well.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // tests: B-50
    #[test]
    fn rules_that_gateways_understand() {
        for rule in [
            "permit out ip from any to assigned",
            "deny in ip from any to any",
            "permit in 6 from assigned to 192.0.2.1 80,443,1000-2000",
            "permit out 17 from !192.0.2.0/24 53 to assigned 1024-65535",
            "permit in ip from 2001:db8::/32 to !any",
            "permit in ip from 0.0.0.0/0 to any",
            "permit in 6 from any to any established",
            "deny in 6 from any to any setup tcpflags syn,!ack",
            "deny in ip from any to any frag ipoptions !ssrr,lsrr",
            "permit in 6 from any to any tcpoptions mss,!window",
            "permit out 1 from any to assigned icmptypes 0,8,11-12",
            "permit  out\tip from any to any",
        ] {
            assert_eq!(check_ip_filter_rule(rule), Ok(()), "{rule}");
        }
    }

    // tests: B-50
    #[test]
    fn rules_that_are_none_say_where() {
        for (rule, found) in [
            ("", ""),
            ("allow out ip from any to any", "allow"),
            ("permit both ip from any to any", "both"),
            ("permit out tcp from any to any", "tcp"),
            ("permit out 256 from any to any", "256"),
            ("permit out +6 from any to any", "+6"),
            ("permit out ip any to any", "any"),
            ("permit out ip from host.example to any", "host.example"),
            ("permit out ip from 192.0.2.1/33 to any", "192.0.2.1/33"),
            ("permit out ip from 192.0.2.1/+8 to any", "192.0.2.1/+8"),
            ("permit out ip from 192.0.2.1/ to any", "192.0.2.1/"),
            ("permit out ip from 2001:db8::/129 to any", "2001:db8::/129"),
            ("permit out 6 from any 80,, to any", "80,,"),
            ("permit out 6 from any 90-80 to any", "90-80"),
            ("permit out 6 from any 65536 to any", "65536"),
            ("permit out ip from any", ""),
            ("permit out ip from any to", ""),
            ("permit out ip from any to any please", "please"),
            ("permit out 6 from any to any tcpflags", ""),
            ("permit out 6 from any to any tcpflags syn,nak", "syn,nak"),
            ("permit out 1 from any to any icmptypes !8", "!8"),
            ("permit out 1 from any to any icmptypes 9-8", "9-8"),
        ] {
            match check_ip_filter_rule(rule) {
                Err(FilterRuleError::Unexpected { found: it, .. }) => assert_eq!(it, found, "{rule}"),
                other => panic!("{rule}: {other:?}"),
            }
        }
        assert_eq!(check_ip_filter_rule("permit out ip from any to ány"), Err(FilterRuleError::NotAscii));
    }

    proptest! {
        #[test]
        fn any_text_is_checked_without_panic(text in "(permit|deny|in|out|ip|from|to|any|[!0-9a-f:./,-]| ){0,20}") {
            let _ = check_ip_filter_rule(&text);
        }
    }
}
