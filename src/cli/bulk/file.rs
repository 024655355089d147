//! Files of changes: a line each, as cells with commas between (RFC 4180) or as a JSON object. Everything that is wrong is
//! told with its line, and nothing is sent then.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use serde::Deserialize;
use tonic::Status;

use crate::{
    api::{
        code_name,
        v1::{self, account_ref::By, bulk_change::Change, start::At},
    },
    cli::who::identity,
    store::csv_cells,
};

/// Problems of one file that are told; of more only how many.
const PROBLEMS_MAX: usize = 20;

/// What a file says.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) changes: Vec<v1::BulkChange>,
    /// On which line each of them stands.
    pub(super) lines: Vec<usize>,
}

/// One line.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    account: String,
    change: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    start: String,
}

/// Reads a file's text. Empty lines, those that begin with `#`, and a head `account,...` say nothing.
pub(super) fn read(file: &str, text: &str, currency: Option<&str>) -> anyhow::Result<Planned> {
    let mut planned = Planned { changes: Vec::new(), lines: Vec::new() };
    let mut problems = Vec::new();
    // Spreadsheets begin their files with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("account,") {
            continue;
        }
        match read_line(line).and_then(|line| change(&line, currency)) {
            Ok(change) => {
                planned.changes.push(change);
                planned.lines.push(number);
            }
            Err(why) => problems.push(format!("{file}:{number}: {why:#}")),
        }
    }
    if problems.is_empty() {
        return if planned.changes.is_empty() { Err(anyhow!("{file}: there are no changes")) } else { Ok(planned) };
    }
    let mut told = problems.iter().take(PROBLEMS_MAX).cloned().collect::<Vec<_>>().join("\n");
    if problems.len() > PROBLEMS_MAX {
        // Writing to a String cannot fail.
        let _ = write!(told, "\n{file}: {} further lines are wrong", problems.len() - PROBLEMS_MAX);
    }
    Err(anyhow!(told))
}

/// What the server says of one change, with the line that it stands on.
pub(super) fn located(file: &str, lines: &[usize], status: &Status) -> Option<anyhow::Error> {
    let (index, rest) = status.message().strip_prefix("changes[")?.split_once(']')?;
    let line = lines.get(index.parse::<usize>().ok()?)?;
    Some(anyhow!("{file}:{line}: {}: {}", code_name(status.code()), rest.trim_start_matches(['.', ':', ' '])))
}

fn read_line(text: &str) -> anyhow::Result<Line> {
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            // It says where, of one line, in words of its own.
            let (told, column) = (error.to_string(), error.column());
            let why = told.split_once(" at line ").map_or(told.as_str(), |(why, _)| why);
            anyhow!("column {column}: {why}")
        });
    }
    let mut cells = csv_cells(text).ok_or_else(|| anyhow!("quotes are not in pairs"))?.into_iter();
    if !(3..=4).contains(&cells.len()) {
        bail!("{} cells: write ACCOUNT,CHANGE,VALUE or ACCOUNT,CHANGE,VALUE,START", cells.len());
    }
    let mut next = || cells.next().unwrap_or_default().trim().to_owned();
    Ok(Line { account: next(), change: next(), value: next(), start: next() })
}

fn change(line: &Line, currency: Option<&str>) -> anyhow::Result<v1::BulkChange> {
    let value = &line.value;
    let needed =
        |what: &str| if value.is_empty() { Err(anyhow!("{} needs {what}", line.change)) } else { Ok(value.clone()) };
    let timed = matches!(&*line.change, "buy" | "cancel");
    if !timed && !line.start.is_empty() {
        bail!("{} has no start", line.change);
    }
    let change = match &*line.change {
        "adjust" => Change::Adjust(amount(&needed("an amount")?, currency)?),
        "topup" => Change::TopUp(amount(&needed("an amount")?, currency)?),
        "allowance" => Change::GrantAllowance(needed("the name of an allowance")?),
        // Without a value none any more.
        "plan" => Change::SetPlan(value.clone()),
        "buy" => Change::Buy(v1::BulkBuy { product: needed("the name of a product")?, start: start(&line.start)? }),
        "cancel" => {
            let subscription = value.parse().ok().filter(|number| *number > 0);
            let subscription = subscription.ok_or_else(|| anyhow!("`{value}` is no subscription's number"))?;
            Change::Cancel(v1::BulkCancel { subscription, start: start(&line.start)? })
        }
        "state" => Change::SetState(state(value)?.into()),
        "unblock-vouchers" => Change::UnblockVouchers(needed("the name of a batch")?),
        other => bail!(
            "`{other}` is no change: write adjust, topup, allowance, plan, buy, cancel, state or unblock-vouchers"
        ),
    };
    let account = match (&change, &*line.account) {
        (Change::UnblockVouchers(_), "") => None,
        (Change::UnblockVouchers(_), _) => bail!("unblock-vouchers is about no account: leave it empty"),
        (_, "") => bail!("no account: write a subscriber or account:ID"),
        (_, account) => Some(v1::AccountRef { by: Some(who(account)?) }),
    };
    Ok(v1::BulkChange { account, change: Some(change) })
}

fn who(text: &str) -> anyhow::Result<By> {
    match text.strip_prefix("account:") {
        Some(id) => match id.parse() {
            Ok(id) if id > 0 => Ok(By::AccountId(id)),
            _ => bail!("`{id}` is no account's id"),
        },
        None => Ok(By::Identity(identity(text)?)),
    }
}

fn amount(text: &str, currency: Option<&str>) -> anyhow::Result<v1::Money> {
    let (amount, currency) = match (text.split_once(' '), currency) {
        (Some((amount, currency)), _) => (amount, currency.trim()),
        (None, Some(currency)) => (text, currency),
        (None, None) => bail!("`{text}` has no currency: write `{text} CNY`, or --currency CNY for all"),
    };
    if let Err(error) = amount.parse::<crate::units::Money>() {
        bail!("{error}");
    }
    Ok(v1::Money { amount: amount.to_owned(), currency: currency.to_owned() })
}

fn state(text: &str) -> anyhow::Result<v1::AccountState> {
    match text {
        "active" => Ok(v1::AccountState::Active),
        "suspended" => Ok(v1::AccountState::Suspended),
        "terminated" => Ok(v1::AccountState::Terminated),
        _ => bail!("`{text}` is no state: write active, suspended or terminated"),
    }
}

fn start(text: &str) -> anyhow::Result<Option<v1::Start>> {
    let at = match text {
        "" | "now" => return Ok(None),
        "next" => At::NextPeriod(true),
        _ => {
            let at = crate::cli::catalog::moment_given(text);
            At::AtMs(at.map_err(|_| anyhow!("`{text}` is no start: write now, next or 2026-02-01T00:00:00Z"))?)
        }
    };
    Ok(Some(v1::Start { at: Some(at) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        read("f", text, None).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_say_the_same() {
        let table = "account,change,value,start\n\
                     # a comment\n\
                     account:5,adjust,-5.00\n\
                     \n\
                     8613900000001,topup,7.00 CNY\n\
                     imsi:460000000000001,plan,\"prepaid, old\"\n\
                     account:5,buy,family-10gb,next\n\
                     account:5,cancel,3,2026-02-01T00:00:00Z\n\
                     account:5,state,suspended\n\
                     ,unblock-vouchers,christmas\n";
        let objects = r#"
            {"account": "account:5", "change": "adjust", "value": "-5.00"}
            {"account": "8613900000001", "change": "topup", "value": "7.00 CNY"}
            {"account": "imsi:460000000000001", "change": "plan", "value": "prepaid, old"}
            {"account": "account:5", "change": "buy", "value": "family-10gb", "start": "next"}
            {"account": "account:5", "change": "cancel", "value": "3", "start": "2026-02-01T00:00:00Z"}
            {"account": "account:5", "change": "state", "value": "suspended"}
            {"change": "unblock-vouchers", "value": "christmas"}"#;
        let (table, objects) = (read("t", table, Some("CNY")).unwrap(), read("o", objects, Some("CNY")).unwrap());
        assert_eq!(table.changes, objects.changes);
        assert_eq!(table.lines, [3, 5, 6, 7, 8, 9, 10]);
        assert_eq!(table.changes.len(), 7);
        let marked = read("m", "\u{feff}account,change,value\naccount:5,state,active\n", None).unwrap();
        assert_eq!((marked.changes.len(), marked.lines), (1, vec![2]));
        assert_eq!(read("m", "\u{feff}account:5,state,active", None).unwrap().changes, marked.changes);
        let five = v1::Money { amount: "-5.00".into(), currency: "CNY".into() };
        assert_eq!(table.changes[0].change, Some(Change::Adjust(five)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let text = "account:5,adjust,5.00\naccount:0,state,active\nx y,state,active\naccount:1,state,stopped\n\
                    account:1,give,5\naccount:1,adjust\n,adjust,1 CNY\naccount:1,adjust,1.2345678 CNY\n\
                    account:1,plan,a,next\naccount:1,buy,\naccount:1,cancel,0\naccount:1,buy,a,soon\n\
                    account:1,unblock-vouchers,a\naccount:1,plan,\"a\n{\"change\": \"plan\", \"valu\": \"\"}\n{";
        let expected = "\
            f:1: `5.00` has no currency: write `5.00 CNY`, or --currency CNY for all\n\
            f:2: `0` is no account's id\n\
            f:3: `x y` is no identity: write an MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI\n\
            f:4: `stopped` is no state: write active, suspended or terminated\n\
            f:5: `give` is no change: write adjust, topup, allowance, plan, buy, cancel, state or unblock-vouchers\n\
            f:6: 2 cells: write ACCOUNT,CHANGE,VALUE or ACCOUNT,CHANGE,VALUE,START\n\
            f:7: no account: write a subscriber or account:ID\n\
            f:8: `1.2345678` has more than six fractional digits\n\
            f:9: plan has no start\n\
            f:10: buy needs the name of a product\n\
            f:11: `0` is no subscription's number\n\
            f:12: `soon` is no start: write now, next or 2026-02-01T00:00:00Z\n\
            f:13: unblock-vouchers is about no account: leave it empty\n\
            f:14: quotes are not in pairs\n";
        let told = problems(text);
        let rest = "\
            f:15: column 25: unknown field `valu`, expected one of `account`, `change`, `value`, `start`\n\
            f:16: column 1: EOF while parsing an object";
        assert_eq!(told.strip_prefix(expected), Some(rest), "{told}");
        assert_eq!(problems("# nothing\n"), "f: there are no changes");
        let many = "a,b,c\n".repeat(23);
        assert!(problems(&many).ends_with("\nf: 3 further lines are wrong"), "{}", problems(&many));
    }

    #[test]
    fn what_the_server_says_of_a_change_has_its_line() {
        let status = Status::not_found("changes[1].account: 7 does not exist");
        let told = located("f", &[3, 9], &status).unwrap().to_string();
        assert_eq!(told, "f:9: NOT_FOUND: account: 7 does not exist");
        assert!(located("f", &[3], &status).is_none());
        assert!(located("f", &[3], &Status::not_found("reason: is required")).is_none());
    }
}
