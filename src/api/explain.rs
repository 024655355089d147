//! Explanations of charges, from the history or from a usage record.

use tonic::Status;

use super::{
    Api,
    convert::{kind_of, millis, money_of, units_of},
    history,
    records::{blocking, moment, not_kept},
    status::{invalid, not_found},
    v1,
};
use crate::{
    charging::{
        Account, BucketKind, ExplainedPart, Explanation, HistoryLine, LineKind, Measure, MemberNo, Paid, explain,
    },
    ids::AccountId,
    rating::Catalogs,
    store::{Cursor, RecordFilter},
    time::Timestamp,
    units::{Currency, Money, Units},
};

/// What a request is about.
struct Wanted<'r> {
    session_id: &'r str,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Wanted<'_> {
    fn takes(&self, line: &HistoryLine<'_>) -> bool {
        let session = line.session_id.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        (self.session_id.is_empty() || session == self.session_id)
            && self.from.is_none_or(|from| line.at >= from)
            && self.to.is_none_or(|to| line.at < to)
    }
}

/// What is told of an account whose charges are explained.
struct Teller<'a> {
    currency: Currency,
    account: Option<&'a Account>,
    catalogs: &'a Catalogs,
    now: Timestamp,
}

impl Api {
    /// Explains what a request is about.
    pub(super) async fn explained(
        &self,
        request: &v1::ExplainChargesRequest,
    ) -> Result<v1::ExplainChargesResponse, Status> {
        if !request.record.is_empty() {
            return self.explained_record(&request.record).await;
        }
        let id = self.resolve("account", request.account.as_ref())?;
        let wanted = Wanted {
            session_id: &request.session_id,
            from: moment("from_ms", request.from_ms)?,
            to: moment("to_ms", request.to_ms)?,
        };
        let lines = self.store.history(id);
        let account = self.read_account(id).await?;
        let unknown = || not_found("account", format_args!("{id} does not exist"));
        let lines = self.durable(lines.ok_or_else(unknown)?).await?;
        let lines: Vec<_> = lines.into_iter().filter(|(line, _)| wanted.takes(line)).collect();
        if lines.is_empty() && !request.session_id.is_empty() {
            let shown: String = request.session_id.chars().take(80).collect();
            let why =
                format!("the history of {id} has no charge of session `{shown}`: look for it in the usage records");
            return Err(not_found("session_id", why));
        }
        let skip = match usize::try_from(request.last).unwrap_or(usize::MAX) {
            0 => 0,
            last => lines.len().saturating_sub(last),
        };
        let teller = Teller {
            currency: account.currency,
            account: Some(&account),
            catalogs: &self.store.catalogs(),
            now: self.store.clock().now(),
        };
        let charges = lines.iter().skip(skip).map(|(line, open)| teller.charge(line, *open)).collect();
        Ok(v1::ExplainChargesResponse { charges })
    }

    /// Explains one usage record.
    async fn explained_record(&self, cursor: &str) -> Result<v1::ExplainChargesResponse, Status> {
        let cursor: Cursor = cursor.parse().map_err(|error| invalid("record", error))?;
        let files = self.store.record_files().ok_or_else(not_kept)?;
        let before = cursor.before();
        let found = blocking(move || files.page(&RecordFilter::default(), before, 1)).await?;
        let (found, _) = found.map_err(|error| Status::data_loss(error.to_string()))?;
        let record = found.into_iter().next().filter(|record| record.cursor == cursor.to_string());
        let record = record.ok_or_else(|| not_found("record", format_args!("there is no record {cursor}")))?;
        let line = record.history_line().ok_or_else(|| invalid("record", "it is of no charge"))?;
        let account = match record.account {
            Some(id) => self.read_account(AccountId(id)).await.ok(),
            None => None,
        };
        let currency = record.currency.as_deref().and_then(|code| code.parse().ok());
        let teller = Teller {
            currency: currency.unwrap_or_else(|| self.store.catalog().currency()),
            account: account.as_ref(),
            catalogs: &self.store.catalogs(),
            now: self.store.clock().now(),
        };
        Ok(v1::ExplainChargesResponse { charges: vec![teller.charge(&line, false)] })
    }
}

impl Teller<'_> {
    fn charge(&self, line: &HistoryLine<'_>, open: bool) -> v1::ExplainedCharge {
        let explained = explain(line, self.currency, &|number| Some(&*self.catalogs.get(number)?.catalog));
        let since = |number: u32| self.since(number).map(|at| at.to_string());
        let text = explained.text(self.currency, &since, &|member| self.name_of(member));
        v1::ExplainedCharge {
            entry: Some(history::entry(line, open, self.currency, (self.catalogs, self.now))),
            parts: explained.parts.iter().map(|part| self.part(&explained, part)).collect(),
            paid: explained.paid.iter().map(|paid| self.paid(paid)).collect(),
            total: Some(self.amount(explained.measure, explained.total)),
            recorded: Some(self.amount(explained.measure, explained.recorded)),
            exact: explained.is_exact(),
            used_by: self.name_of(explained.member),
            doubts: explained.doubts,
            text,
        }
    }

    fn part(&self, explained: &Explanation, part: &ExplainedPart) -> v1::ChargePart {
        let used = part.used.and_then(|(measure, amount)| match measure {
            Measure::Units(kind) => Some(units_of(Units { kind, amount })),
            Measure::Money => None,
        });
        let line = |line: &crate::charging::Line| v1::ChargeLine {
            kind: kind(line.kind).into(),
            text: line.text.clone(),
            amount: Some(self.amount(explained.measure, line.amount)),
        };
        v1::ChargePart {
            catalog_version: part.catalog,
            catalog_since_ms: self.since(part.catalog).map_or(0, millis),
            service: part.service.to_string(),
            tariff: part.tariff.as_deref().unwrap_or_default().to_owned(),
            tariff_applies: part.why.clone(),
            uplink: part.uplink,
            used,
            units_from_allowance: part.from_allowance,
            units_charged: part.rated,
            discount: part.discount.as_deref().unwrap_or_default().to_owned(),
            reports: part.reports,
            first_ms: millis(part.first),
            last_ms: millis(part.last),
            lines: part.lines.iter().map(line).collect(),
            charged: Some(self.amount(explained.measure, part.charged)),
        }
    }

    fn paid(&self, paid: &Paid) -> v1::PaidFrom {
        let measure = match paid.kind {
            BucketKind::Money => Measure::Money,
            BucketKind::Units(kind) => Measure::Units(kind),
        };
        v1::PaidFrom {
            bucket_id: paid.bucket.0,
            name: paid.name.to_string(),
            owner: self.name_of(paid.owner),
            amount: Some(self.amount(measure, paid.amount)),
        }
    }

    fn amount(&self, measure: Measure, amount: i64) -> v1::ChargeAmount {
        use v1::charge_amount::Amount;
        let amount = match measure {
            Measure::Money => Amount::Money(money_of(Money::from_micros(amount), self.currency)),
            // Units are given, never taken.
            Measure::Units(kind) => {
                Amount::Units(v1::Units { kind: kind_of(kind).into(), amount: amount.unsigned_abs() })
            }
        };
        v1::ChargeAmount { amount: Some(amount) }
    }

    /// When a version of the catalog came into force.
    fn since(&self, number: u32) -> Option<Timestamp> {
        self.catalogs.publication(number).map(|publication| publication.activates)
    }

    /// The subscriber that a member is, or was; empty = nobody with terms of its own.
    fn name_of(&self, member: MemberNo) -> String {
        if member == MemberNo::SHARED {
            return String::new();
        }
        let profile = self.account.and_then(|account| account.profile.as_deref());
        let known = profile.and_then(|profile| profile.member(member));
        known.map_or_else(|| format!("member {} (gone)", member.0), |known| known.subscriber.to_string())
    }
}

fn kind(kind: LineKind) -> v1::charge_line::Kind {
    use v1::charge_line::Kind;
    match kind {
        LineKind::Note => Kind::Note,
        LineKind::Setup => Kind::Setup,
        LineKind::Tier => Kind::Tier,
        LineKind::Minimum => Kind::Minimum,
        LineKind::Discount => Kind::Discount,
        LineKind::Cap => Kind::Cap,
        LineKind::Limit => Kind::Limit,
        LineKind::Fee => Kind::Fee,
        LineKind::Given => Kind::Given,
        LineKind::Recorded => Kind::Recorded,
    }
}
