//! Business events as messages.

use super::{
    convert::{identity_of, millis, money_of},
    v1::{self, event::Kind},
};
use crate::{
    charging::{Notice, NoticeKind},
    journal::Disk,
    store::Store,
    units::Currency,
};

/// A durable notice as an event, with the identities that its account has now. Accounts are in the catalog's currency: no
/// other is created.
pub(super) fn event_of<D: Disk>(store: &Store<D>, cursor: u64, notice: &Notice) -> v1::Event {
    let identities = store.identities_of(notice.account).iter().map(identity_of).collect();
    let currency = store.catalog().currency();
    v1::Event {
        cursor,
        at_ms: millis(notice.at),
        account_id: notice.account.0,
        identities,
        balance: Some(money_of(notice.balance, currency)),
        kind: Some(kind_of(&notice.kind, currency)),
    }
}

fn kind_of(kind: &NoticeKind, currency: Currency) -> Kind {
    match kind {
        NoticeKind::TopUp { amount, request_id } => {
            let amount = Some(money_of(*amount, currency));
            Kind::TopUp(v1::TopUpEvent { amount, request_id: request_id.to_string() })
        }
        NoticeKind::CreditStop => Kind::CreditStop(v1::CreditStopEvent {}),
        NoticeKind::Reconnect => Kind::Reconnect(v1::ReconnectEvent {}),
        NoticeKind::Threshold { name, bucket } => Kind::Threshold(v1::ThresholdEvent {
            name: name.to_string(),
            bucket_id: bucket.map_or(0, |bucket| bucket.0),
        }),
        NoticeKind::Overdraft { excess } => {
            Kind::Overdraft(v1::OverdraftEvent { excess: Some(money_of(*excess, currency)) })
        }
    }
}
