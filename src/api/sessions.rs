//! `SessionService`.

use tonic::{Request, Response, Status};

use super::{
    Api,
    by::Caller,
    convert::{kind_of, millis, money_of, optional_reason, page_size},
    status::{answered, invalid, not_found, refused},
    v1::{self, session_service_server::SessionService},
};
use crate::{
    charging::{Command, Measure, Quota, Session},
    ids::{AccountId, BucketId, SessionKey, SessionNo},
    journal::FileDisk,
    store::Audited,
    units::{Currency, Money},
};

/// Sessions of one page.
const PAGE_SIZE_MAX: usize = 1_000;
/// Sessions of a page whose size is not said.
const PAGE_SIZE_DEFAULT: usize = 100;
/// Octets of a Session-Id that are read from a request.
const SESSION_ID_OCTETS_MAX: usize = 1_024;

#[tonic::async_trait]
impl SessionService for Api {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        answered("ListSessions", self.list(request.get_ref())).await
    }

    async fn re_authorise(
        &self,
        request: Request<v1::ReAuthoriseRequest>,
    ) -> Result<Response<v1::ReAuthoriseResponse>, Status> {
        answered("ReAuthorise", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let reason = optional_reason(&request.reason)?;
            let (group, by) = (request.rating_group, self.by(&caller, "ReAuthorise", reason));
            let command = |key| Command::ReAuthorise(key, group);
            self.session_command(by, &request.session_id, request.sub_session_id, command).await?;
            Ok(v1::ReAuthoriseResponse {})
        })
        .await
    }

    async fn terminate_session(
        &self,
        request: Request<v1::TerminateSessionRequest>,
    ) -> Result<Response<v1::TerminateSessionResponse>, Status> {
        answered("TerminateSession", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let by = self.by(&caller, "TerminateSession", optional_reason(&request.reason)?);
            self.session_command(by, &request.session_id, request.sub_session_id, Command::Abort).await?;
            Ok(v1::TerminateSessionResponse {})
        })
        .await
    }
}

impl Api {
    /// Executes a command about a running session.
    async fn session_command(
        &self,
        by: Audited<'_, FileDisk>,
        session_id: &str,
        sub_session: u64,
        command: impl FnOnce(SessionKey) -> Command<'static>,
    ) -> Result<(), Status> {
        self.check_journal()?;
        let id = session_id.as_bytes();
        if !(1..=SESSION_ID_OCTETS_MAX).contains(&id.len()) {
            return Err(invalid("session_id", format_args!("must be 1 to {SESSION_ID_OCTETS_MAX} octets")));
        }
        let key = SessionKey::of_sub_session(id, sub_session);
        let done = by.session_command(key, session_id, &command(key));
        let done = done.ok_or_else(|| not_found("session_id", "there is no such session"))?;
        self.durable(done).await?.map_err(|refusal| refused(&refusal))?;
        Ok(())
    }

    async fn list(&self, request: &v1::ListSessionsRequest) -> Result<v1::ListSessionsResponse, Status> {
        let limit = page_size(request.page_size, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
        let after = Place::read(&request.page_token)?;
        match &request.account {
            Some(_) => {
                let account = self.resolve("account", request.account.as_ref())?;
                self.list_of_account(account, after, limit).await
            }
            None => self.list_all(after, limit).await,
        }
    }

    async fn list_of_account(
        &self,
        account: AccountId,
        after: Place,
        limit: usize,
    ) -> Result<v1::ListSessionsResponse, Status> {
        let currency = self.read_account(account).await?.currency;
        let sessions = self.store.sessions_of(account);
        let sessions = sessions.ok_or_else(|| not_found("account", format_args!("{account} does not exist")))?;
        let sessions = self.durable(sessions).await?;
        // The core bounds the sessions of an account, so all of them fit in memory with ease.
        let rest: Vec<_> = sessions.iter().filter(|session| session.no > after.session).collect();
        let page = &rest[..limit.min(rest.len())];
        let next = page.last().filter(|_| page.len() < rest.len());
        Ok(v1::ListSessionsResponse {
            sessions: page.iter().map(|session| session_of(session, currency)).collect(),
            next_page_token: next.map_or_else(String::new, |last| Place { session: last.no, ..after }.write()),
        })
    }

    /// Walks the partitions. A session that opens or ends meanwhile may be missed or told; all others are told once.
    async fn list_all(&self, after: Place, limit: usize) -> Result<v1::ListSessionsResponse, Status> {
        // All accounts are in the catalog's currency: no other is created.
        let currency = self.store.catalog().currency();
        let mut sessions = Vec::new();
        let mut place = after;
        while let Some(page) = self.store.sessions_page(place.partition, place.session, limit - sessions.len()) {
            let page = self.durable(page).await?;
            sessions.extend(page.iter().map(|session| session_of(session, currency)));
            if sessions.len() == limit {
                let session = page.last().map_or(place.session, |last| last.no);
                let next_page_token = Place { session, ..place }.write();
                return Ok(v1::ListSessionsResponse { sessions, next_page_token });
            }
            let Some(next) = place.partition.checked_add(1) else { break };
            place = Place { partition: next, session: SessionNo(0) };
        }
        Ok(v1::ListSessionsResponse { sessions, next_page_token: String::new() })
    }
}

/// Where the next page begins: after this session of this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    partition: u16,
    session: SessionNo,
}

impl Place {
    const START: Self = Self { partition: 0, session: SessionNo(0) };

    fn write(self) -> String {
        format!("{:04x}{:016x}", self.partition, self.session.0)
    }

    fn read(token: &str) -> Result<Self, Status> {
        if token.is_empty() {
            return Ok(Self::START);
        }
        let parsed = || {
            let (partition, session) = token.is_ascii().then_some(token)?.split_at_checked(4)?;
            let partition = u16::from_str_radix(partition, 16).ok()?;
            let place = Self { partition, session: SessionNo(u64::from_str_radix(session, 16).ok()?) };
            // Only what was written: no signs, no capitals, no other length.
            (place.write() == token).then_some(place)
        };
        parsed().ok_or_else(|| invalid("page_token", "is not one that was given out"))
    }
}

fn session_of(session: &Session, currency: Currency) -> v1::Session {
    let numbers = session.answers.iter().map(|answer| answer.number).max();
    v1::Session {
        session_id: session.id.to_string(),
        account_id: session.account.0,
        service_context_id: session.context.to_string(),
        origin_host: session.origin_host.to_string(),
        origin_realm: session.origin_realm.to_string(),
        opened_at_ms: millis(session.opened),
        last_request_at_ms: millis(session.last_request),
        expires_at_ms: millis(session.expires),
        last_request_number: numbers.unwrap_or(0).max(session.highest_update),
        quotas: session.quotas.iter().map(|quota| quota_of(quota, currency)).collect(),
        reauthorisation_pending: session.reauthorise,
        sub_session_id: session.sub_session,
        abort_pending: session.abort,
        catalog_version: session.catalog,
    }
}

fn quota_of(quota: &Quota, currency: Currency) -> v1::SessionQuota {
    // What the network element rated itself is money, told in `charged` and `reserved`.
    let units = |amount| match quota.measure {
        Measure::Units(kind) => Some(v1::Units { kind: kind_of(kind).into(), amount }),
        Measure::Money => None,
    };
    v1::SessionQuota {
        rating_group: quota.key.rating_group,
        service_identifier: quota.key.service_identifier,
        service: quota.service.to_string(),
        granted: units(quota.granted),
        used: units(quota.used),
        charged: Some(money_of(quota.charged, currency)),
        reserved: Some(money_of(reserved(quota), currency)),
        final_units: quota.final_units,
    }
}

/// Money that a quota holds. Allowances are units: of an account's buckets only the main one has money.
fn reserved(quota: &Quota) -> Money {
    let money = quota.holds.iter().filter(|draw| draw.bucket == BucketId::MAIN);
    money.fold(Money::ZERO, |sum, draw| sum.saturating_add(Money::from_micros(draw.amount)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_are_read_only_as_they_were_written() {
        let place = Place { partition: 17, session: SessionNo(u64::MAX) };
        assert_eq!(Place::read(&place.write()).unwrap(), place);
        assert_eq!(Place::read("").unwrap(), Place::START);
        for token in
            ["x", "0011", "0011+00000000000000f", "001100000000000000FF", "é01100000000000000ff", &"0".repeat(21)]
        {
            assert_eq!(Place::read(token).unwrap_err().code(), tonic::Code::InvalidArgument, "{token}");
        }
    }
}
