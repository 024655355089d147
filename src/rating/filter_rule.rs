//! IPFilterRules (RFC 6733 4.3.1, spec B-50): checked when the catalog is read, so that no client is told nonsense.

use std::{net::IpAddr, str::FromStr};

/// TCP, UDP and SCTP: ports mean something for these.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

/// Checks one rule: `permit|deny in|out proto from src to dst [options]`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(super) fn check(rule: &str) -> Result<(), String> {
    let mut words = rule.split(' ').peekable();
    if !rule.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err("a rule is ASCII text with single spaces".into());
    }
    one_of(words.next(), &["permit", "deny"])?;
    one_of(words.next(), &["in", "out"])?;
    let protocol = match words.next() {
        Some("ip") => None,
        Some(word) => Some(number::<u8>(word).ok_or_else(|| wrong(word, "`ip` or a protocol number, 0 to 255"))?),
        None => return Err("the rule ends where a protocol number or `ip` is expected".into()),
    };
    let takes_ports = protocol.is_some_and(|number| WITH_PORTS.contains(&number));
    for side in ["from", "to"] {
        one_of(words.next(), &[side])?;
        address(words.next())?;
        let is_port = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        if let Some(list) = words.next_if(is_port) {
            if !takes_ports {
                return Err(wrong(list, "no ports: only protocols 6, 17 and 132 have them"));
            }
            numbers(list, u16::MAX)?;
        }
    }
    options(words)
}

fn wrong(word: &str, right: &str) -> String {
    format!("`{word}` stands where the rule needs {right}")
}

fn one_of(word: Option<&str>, right: &[&str]) -> Result<(), String> {
    let expected = right.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    match word {
        Some(word) if right.contains(&word) => Ok(()),
        Some(word) => Err(wrong(word, &expected)),
        None => Err(format!("the rule ends where {expected} is expected")),
    }
}

/// `any`, `assigned`, or an address with a number of bits, each with `!` for all others.
fn address(word: Option<&str>) -> Result<(), String> {
    let word = word.ok_or("the rule ends where an address is expected")?;
    let plain = word.strip_prefix('!').unwrap_or(word);
    if matches!(plain, "any" | "assigned") {
        return Ok(());
    }
    let (address, bits) = plain.split_once('/').map_or((plain, None), |(address, bits)| (address, Some(bits)));
    let fits = |address: IpAddr| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.is_none_or(|bits| number::<u8>(bits).is_some_and(|bits| bits <= most))
    };
    if address.parse().is_ok_and(fits) {
        return Ok(());
    }
    Err(wrong(word, "`any`, `assigned`, or an address such as 192.0.2.0/24"))
}

/// Numbers and ranges: `80,443,1000-2000`.
fn numbers(list: &str, most: u16) -> Result<(), String> {
    let number = |text: &str| number::<u16>(text).filter(|number| *number <= most);
    let is_right = |part: &str| match part.split_once('-') {
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
        None => number(part).is_some(),
    };
    if list.split(',').all(is_right) {
        return Ok(());
    }
    Err(wrong(list, &format!("numbers up to {most}, such as 80,443,1000-2000")))
}

/// Digits and nothing else: `parse` would take a sign as well.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn options<'r>(mut words: impl Iterator<Item = &'r str>) -> Result<(), String> {
    while let Some(option) = words.next() {
        let specs: &[&str] = match option {
            "frag" | "established" | "setup" => continue,
            "ipoptions" => &["ssrr", "lsrr", "rr", "ts"],
            "tcpoptions" => &["mss", "window", "sack", "ts", "cc"],
            "tcpflags" => &["fin", "syn", "rst", "psh", "ack", "urg"],
            "icmptypes" => {
                numbers(words.next().unwrap_or(""), 18)?;
                continue;
            }
            _ => {
                let known = "an option: frag, ipoptions, tcpoptions, established, setup, tcpflags or icmptypes";
                return Err(wrong(option, known));
            }
        };
        for spec in words.next().unwrap_or("").split(',') {
            one_of(Some(spec.strip_prefix('!').unwrap_or(spec)), specs)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // tests: B-50
    #[test]
    fn rules_are_told_from_what_only_looks_like_one() {
        for rule in [
            "permit in ip from any to any",
            "permit out 6 from 192.0.2.0/24 80,443,1000-2000 to assigned",
            "deny in 17 from !198.51.100.7 to any 53 frag",
            "permit in 6 from any to 2001:db8::/32 established tcpflags syn,!ack",
            "deny out 1 from any to any icmptypes 0,8-11 ipoptions ssrr,!rr",
            "permit out ip from any to assigned",
            "permit out 17 from !192.0.2.0/24 53 to assigned 1024-65535",
            "permit in ip from 2001:db8::/32 to !any",
            "permit in ip from 0.0.0.0/0 to any",
            "deny in 6 from any to any setup tcpflags syn,!ack",
            "deny in ip from any to any frag ipoptions !ssrr,lsrr",
            "permit in 6 from any to any tcpoptions mss,!window",
        ] {
            assert_eq!(check(rule), Ok(()), "{rule}");
        }
        for (rule, problem) in [
            ("", "`` stands where the rule needs `permit` or `deny`"),
            ("allow in ip from any to any", "`allow` stands where the rule needs `permit` or `deny`"),
            ("permit both ip from any to any", "`both` stands where"),
            ("permit in tcp from any to any", "`tcp` stands where the rule needs `ip` or a protocol number"),
            ("permit in 256 from any to any", "`256` stands"),
            ("permit in ip any to any", "`any` stands where the rule needs `from`"),
            ("permit in ip from any", "the rule ends where `to` is expected"),
            ("permit in ip from any to", "the rule ends where an address is expected"),
            ("permit in ip from 192.0.2.0/33 to any", "`192.0.2.0/33` stands where"),
            ("permit in ip from 192.0.2.0/+8 to any", "`192.0.2.0/+8` stands where"),
            ("permit in ip from 192.0.2.0/ to any", "`192.0.2.0/` stands where"),
            ("permit in ip from 2001:db8::/129 to any", "`2001:db8::/129` stands where"),
            ("permit in +6 from any to any", "`+6` stands where"),
            ("permit in 6 from any 80-+90 to any", "`80-+90` stands where"),
            ("permit in 6 from any 80,, to any", "`80,,` stands where"),
            ("permit in 6 from any to any tcpflags syn,nak", "`nak` stands where"),
            ("permit in 1 from any to any icmptypes !8", "`!8` stands where"),
            ("permit in 1 from any to any icmptypes 9-8", "`9-8` stands where"),
            ("permit in ip from everywhere to any", "`everywhere` stands"),
            ("permit in ip from any 80 to any", "`80` stands where the rule needs no ports"),
            ("permit in 6 from any 99999 to any", "`99999` stands where the rule needs numbers"),
            ("permit in 6 from any 90-80 to any", "`90-80` stands"),
            ("permit in ip from any to any often", "`often` stands where the rule needs an option"),
            ("permit in 6 from any to any tcpflags", "`` stands where the rule needs `fin`"),
            ("permit in 1 from any to any icmptypes 19", "`19` stands"),
            ("permit  in ip from any to any", "`` stands where"),
            ("permit in ip from any to ä", "a rule is ASCII text"),
        ] {
            let told = check(rule).unwrap_err();
            assert!(told.starts_with(problem), "{rule}: {told}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_checked_without_panic(text in "(permit|deny|in|out|ip|from|to|any|[!0-9a-f:./,-]| ){0,20}") {
            let _ = check(&text);
        }
    }
}
