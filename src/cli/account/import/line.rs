//! One line of a file of subscribers: cells with commas between (RFC 4180), or a JSON object.

use anyhow::{anyhow, bail};
use serde::Deserialize;

use crate::{api::v1, cli::who, store::csv_cells, units};

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) account: v1::CreateAccountRequest,
    pub(super) subscriber: v1::CreateSubscriberRequest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    account: u64,
    subscriber: String,
    identities: Vec<String>,
    #[serde(default)]
    balance: String,
    #[serde(default)]
    credit_limit: String,
    #[serde(default)]
    never_stop: bool,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    cycle_day: u32,
    #[serde(default)]
    allowances: Vec<String>,
}

/// Reads a line; `None` = it is empty, begins with `#`, or is a head `account,...`.
pub(super) fn read(text: &str, currency: &str) -> anyhow::Result<Option<Planned>> {
    // Spreadsheets begin their files with a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() || text.starts_with('#') || text.starts_with("account,") {
        return Ok(None);
    }
    let line = if text.starts_with('{') { object(text) } else { cells(text) }?;
    let Line { account: account_id, subscriber, identities, .. } = line;
    if account_id == 0 {
        bail!("0 is no account's id");
    }
    if subscriber.is_empty() {
        bail!("no name of the subscriber: it is unique in its account, such as line-1");
    }
    if identities.is_empty() {
        bail!("no identity: write an MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI");
    }
    let identities = identities.iter().map(|text| who::identity(text)).collect::<Result<_, _>>()?;
    let account = v1::CreateAccountRequest {
        account_id,
        currency: currency.to_owned(),
        initial_balance: money(&line.balance, currency)?,
        credit_limit: money(&line.credit_limit, currency)?,
        never_stop: line.never_stop,
        allowances: line.allowances,
        plan: line.plan,
        cycle_day: line.cycle_day,
    };
    let subscriber = Some(v1::Subscriber { subscriber_id: subscriber, identities });
    Ok(Some(Planned { account, subscriber: v1::CreateSubscriberRequest { account_id, subscriber } }))
}

fn object(text: &str) -> anyhow::Result<Line> {
    serde_json::from_str(text).map_err(|error| {
        // It says where, of one line, in words of its own.
        let (told, column) = (error.to_string(), error.column());
        let why = told.split_once(" at line ").map_or(told.as_str(), |(why, _)| why);
        anyhow!("column {column}: {why}")
    })
}

fn cells(text: &str) -> anyhow::Result<Line> {
    let mut cells = csv_cells(text).ok_or_else(|| anyhow!("quotes are not in pairs"))?.into_iter();
    if !(3..=6).contains(&cells.len()) {
        bail!("{} cells: write ACCOUNT,SUBSCRIBER,IDENTITIES[,BALANCE[,PLAN[,ALLOWANCES]]]", cells.len());
    }
    let mut next = || cells.next().unwrap_or_default().trim().to_owned();
    let account = next();
    let account = account.parse().map_err(|_| anyhow!("`{account}` is no account's id: write a number above 0"))?;
    let several = |cell: String| cell.split_whitespace().map(str::to_owned).collect();
    Ok(Line {
        account,
        subscriber: next(),
        identities: several(next()),
        balance: next(),
        plan: next(),
        allowances: several(next()),
        ..Line::default()
    })
}

fn money(amount: &str, currency: &str) -> anyhow::Result<Option<v1::Money>> {
    if amount.is_empty() {
        return Ok(None);
    }
    if let Err(error) = amount.parse::<units::Money>() {
        bail!("{error}");
    }
    Ok(Some(v1::Money { amount: amount.to_owned(), currency: currency.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let cells = "\u{feff}7,line-1,8613900000007 imsi:460000000000007,10.00,\"prepaid, old\",data-1gb sms-100";
        let object = r#"{"account": 7, "subscriber": "line-1", "identities": ["8613900000007", "imsi:460000000000007"],
            "balance": "10.00", "plan": "prepaid, old", "allowances": ["data-1gb", "sms-100"]}"#;
        let planned = read(cells, "CNY").unwrap().unwrap();
        assert_eq!(planned, read(object, "CNY").unwrap().unwrap());
        assert_eq!(planned.account.initial_balance, Some(v1::Money { amount: "10.00".into(), currency: "CNY".into() }));
        assert_eq!(planned.subscriber.subscriber.unwrap().identities.len(), 2);
        for nothing in ["", "  ", "# 1,2,3", "account,subscriber,identities"] {
            assert_eq!(read(nothing, "CNY").unwrap(), None);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (line, why) in [
            ("7,line-1", "2 cells: write ACCOUNT,SUBSCRIBER,IDENTITIES[,BALANCE[,PLAN[,ALLOWANCES]]]"),
            ("x,line-1,8613900000007", "`x` is no account's id: write a number above 0"),
            ("0,line-1,8613900000007", "0 is no account's id"),
            ("7,,8613900000007", "no name of the subscriber: it is unique in its account, such as line-1"),
            ("7,a,", "no identity: write an MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI"),
            ("7,a,b", "`b` is no identity: write an MSISDN, or imsi:N, nai:USER@REALM, private:TEXT, sip:URI"),
            ("7,a,86139,1.2345678", "`1.2345678` has more than six fractional digits"),
            ("7,\"a,86139", "quotes are not in pairs"),
            ("{\"account\": 7}", "column 14: missing field `subscriber`"),
        ] {
            assert_eq!(read(line, "CNY").unwrap_err().to_string(), why, "{line}");
        }
    }
}
