//! Members of a shared account: subscribers with terms of their own. They come, get other terms, and go.
//!
//! Who goes leaves with nothing: its sessions end and what they held is free at once, its own money and allowances become
//! everybody's, what was bought for it is cancelled, and its identities may be another account's from then on. What it owed
//! stays with the account.

use super::{
    Account, AccountChanged, Bucket, Event, Measure, Member, MemberLimit, MemberNo, PayOrder, Refusal, State,
    Subscriber, lifecycle, products, quota::BALANCE_MAX,
};
use crate::{
    ids::{Identity, SessionNo},
    rating::{Catalog, Period},
    time::Timestamp,
};

/// Members of one account: a company's lines. A request looks its member up among them.
pub const ACCOUNT_MEMBERS_MAX: usize = 1_024;
/// Limits of one member: each is counted for every request.
pub const MEMBER_LIMITS_MAX: usize = 8;
/// What the names of counters for members' limits begin with; the name of the period follows.
pub(super) const COUNTED: &str = "member/";
/// Seconds that a period of a limit may have (see [`Period::Seconds`]).
const PERIOD_SECS: std::ops::RangeInclusive<u32> = 60..=31_622_400;

/// Makes a subscriber a member, or gives a member other terms. Those hold from the next request on; what running grants have
/// reserved stays reserved.
pub(super) fn set(
    account: &Account,
    subscriber: &str,
    order: PayOrder,
    limits: &[MemberLimit],
) -> Result<AccountChanged, Refusal> {
    known(account, subscriber)?;
    check(limits)?;
    let profile = account.profile.as_deref();
    let no = match profile.and_then(|profile| profile.member_of(subscriber)) {
        Some(member) => member.no,
        None if profile.is_some_and(|profile| profile.members.len() >= ACCOUNT_MEMBERS_MAX) => {
            let why = format!("account {} has {ACCOUNT_MEMBERS_MAX} members, more is not possible", account.id);
            return Err(Refusal::NotPossible(why));
        }
        None => next_no(account),
    };
    let member = Member { no, subscriber: subscriber.into(), order, limits: limits.to_vec() };
    Ok(AccountChanged { members: vec![member], ..AccountChanged::default() })
}

/// Takes a member out of the account, with the subscriber that it is.
pub(super) fn remove(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    subscriber: &str,
    now: Timestamp,
) -> Result<AccountChanged, Refusal> {
    let member = find(account, subscriber)?.no;
    let own = account.buckets.iter().filter(|bucket| bucket.owner == member);
    let shared = |bucket: &Bucket| Bucket { owner: MemberNo::SHARED, subscription: 0, ..bucket.clone() };
    let subscriptions = account.profile.iter().flat_map(|profile| &profile.subscriptions);
    let bought: Vec<_> = subscriptions.filter(|subscription| subscription.member == member).cloned().collect();
    Ok(AccountChanged {
        buckets: own.map(shared).collect(),
        removed_subscriptions: bought.iter().map(|subscription| subscription.no).collect(),
        cycles: products::keep_floors(catalog, account, &bought, now),
        removed_members: vec![member],
        ..closing(state, account, member)
    })
}

/// Takes a subscriber out of the account, member or not. Which sessions are those of a subscriber without terms nobody
/// knows: they end with it only if no other subscriber can have opened them, else they run on until their clients end them.
pub(super) fn remove_subscriber(
    state: &State,
    catalog: &Catalog,
    account: &Account,
    subscriber: &str,
    now: Timestamp,
) -> Result<AccountChanged, Refusal> {
    let profile = account.profile.as_deref();
    let is_member = |id: &str| profile.is_some_and(|profile| profile.member_of(id).is_some());
    if is_member(subscriber) {
        return remove(state, catalog, account, subscriber, now);
    }
    known(account, subscriber)?;
    let alone = account.subscribers.iter().all(|other| *other.id == *subscriber || is_member(&other.id));
    let closing = if alone { closing(state, account, MemberNo::SHARED) } else { AccountChanged::default() };
    // It becomes a member and leaves at once: there is one way to go.
    let (no, order) = (next_no(account), PayOrder::SharedOnly);
    let member = Member { no, subscriber: subscriber.into(), order, limits: Vec::new() };
    Ok(AccountChanged { members: vec![member], removed_members: vec![no], ..closing })
}

/// The member that a subscriber is.
pub(super) fn find<'a>(account: &'a Account, subscriber: &str) -> Result<&'a Member, Refusal> {
    let member = account.profile.as_deref().and_then(|profile| profile.member_of(subscriber));
    member.ok_or_else(|| Refusal::NotThere(format!("subscriber `{subscriber}` is no member of account {}", account.id)))
}

impl State {
    /// The identities that an account does not have any more when an event has happened.
    pub fn identities_leaving(&self, event: &Event) -> Vec<Identity> {
        let Event::AccountChanged(event) = event else { return Vec::new() };
        let Some(account) = self.account(event.account).filter(|_| !event.removed_members.is_empty()) else {
            return Vec::new();
        };
        let known = account.profile.iter().flat_map(|profile| &profile.members).chain(&event.members);
        let leaving: Vec<_> = known.filter(|member| event.removed_members.contains(&member.no)).collect();
        let leaves = |subscriber: &&Subscriber| leaving.iter().any(|member| member.subscriber == subscriber.id);
        account.subscribers.iter().filter(leaves).flat_map(|it| it.identities.iter().cloned()).collect()
    }
}

fn known<'a>(account: &'a Account, subscriber: &str) -> Result<&'a Subscriber, Refusal> {
    let known = account.subscribers.iter().find(|known| *known.id == *subscriber);
    known.ok_or_else(|| Refusal::NotThere(format!("account {} has no subscriber `{subscriber}`", account.id)))
}

fn next_no(account: &Account) -> MemberNo {
    // Number 0 is everybody.
    MemberNo(account.profile.as_deref().map_or(1, |profile| profile.next_member.max(1)))
}

/// Ends the sessions of a member. Others that wait for credit may get what they held, or what the member leaves behind.
fn closing(state: &State, account: &Account, member: MemberNo) -> AccountChanged {
    let is_its = |no: &SessionNo| state.session(*no).is_some_and(|session| session.member == member);
    let (closes, others): (Vec<_>, Vec<_>) = account.sessions.iter().copied().partition(is_its);
    let mut reauthorise = lifecycle::waiting(state, account);
    reauthorise.retain(|no| others.contains(no));
    AccountChanged { closes, reauthorise, ..AccountChanged::default() }
}

fn check(limits: &[MemberLimit]) -> Result<(), Refusal> {
    let wrong = |why: String| Err(Refusal::Invalid(why));
    if limits.len() > MEMBER_LIMITS_MAX {
        return wrong(format!("a member has at most {MEMBER_LIMITS_MAX} limits"));
    }
    for (place, limit) in limits.iter().enumerate() {
        let name = name_of(limit);
        if !(0..=BALANCE_MAX).contains(&limit.amount) {
            return wrong(format!("a limit of {name} is 0 to {BALANCE_MAX}, not {}", limit.amount));
        }
        if let Period::Seconds(secs) = limit.period
            && !PERIOD_SECS.contains(&secs)
        {
            return wrong(format!("a period has {} to {} seconds, not {secs}", PERIOD_SECS.start(), PERIOD_SECS.end()));
        }
        let same = |other: &&MemberLimit| (other.period, other.measure) == (limit.period, limit.measure);
        if limits.iter().take(place).any(|other| same(&other)) {
            return wrong(format!("a member has two limits of {name}"));
        }
    }
    Ok(())
}

/// What a limit goes by, as in `day:money`.
pub(super) fn name_of(limit: &MemberLimit) -> String {
    let measure = match limit.measure {
        Measure::Money => "money".to_owned(),
        Measure::Units(kind) => kind.to_string(),
    };
    format!("{}:{measure}", period_name(limit.period))
}

/// A period in one word.
pub(super) fn period_name(period: Period) -> String {
    match period {
        Period::Day => "day".into(),
        Period::Week => "week".into(),
        Period::Cycle => "cycle".into(),
        Period::Seconds(secs) => format!("{secs}s"),
    }
}

/// The terms in short, the same words for the same terms.
pub(super) fn in_short(subscriber: &str, order: PayOrder, limits: &[MemberLimit]) -> String {
    let mut limits: Vec<_> = limits.iter().map(|limit| format!(" {}={}", name_of(limit), limit.amount)).collect();
    limits.sort_unstable();
    format!("member {order:?} {subscriber}{}", limits.concat())
}
