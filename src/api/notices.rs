//! Business events as messages.

use super::{
    convert::{identity_of, millis, money_of},
    v1::{self, event::Kind},
};
use crate::{
    charging::{LifeStep, LimitStep, Notice, NoticeKind, ProductStep},
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
        NoticeKind::Limit { name, percent, member, step } => Kind::Limit(v1::LimitEvent {
            name: name.to_string(),
            percent: u32::from(*percent),
            member: member.0,
            step: limit_step(*step).into(),
        }),
        NoticeKind::Product { product, subscription, step } => Kind::Product(v1::ProductEvent {
            product: product.to_string(),
            subscription: *subscription,
            step: product_step(*step).into(),
        }),
        NoticeKind::Life { step, until } => {
            Kind::Life(v1::LifeEvent { step: life_step(*step).into(), until_ms: until.map_or(0, millis) })
        }
        NoticeKind::CycleClosed { starts, ends, usage, fees } => Kind::CycleClosed(v1::CycleClosedEvent {
            starts_ms: millis(*starts),
            ends_ms: millis(*ends),
            usage: Some(money_of(*usage, currency)),
            fees: Some(money_of(*fees, currency)),
        }),
    }
}

fn limit_step(step: LimitStep) -> v1::limit_event::Step {
    use v1::limit_event::Step;
    match step {
        LimitStep::Told => Step::Told,
        LimitStep::Reached => Step::Reached,
        LimitStep::Suspended => Step::Suspended,
    }
}

fn product_step(step: ProductStep) -> v1::product_event::Step {
    use v1::product_event::Step;
    match step {
        ProductStep::Bought => Step::Bought,
        ProductStep::Renewed => Step::Renewed,
        ProductStep::Paused => Step::Paused,
        ProductStep::Ended => Step::Ended,
    }
}

fn life_step(step: LifeStep) -> v1::life_event::Step {
    use v1::life_event::Step;
    match step {
        LifeStep::Activated => Step::Activated,
        LifeStep::EndsSoon => Step::EndsSoon,
        LifeStep::Lapsed => Step::Lapsed,
        LifeStep::Revived => Step::Revived,
        LifeStep::Ended => Step::Ended,
        LifeStep::Suspended => Step::Suspended,
    }
}
