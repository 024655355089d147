//! Lists of accounts, page by page.

use tonic::Status;

use super::{
    super::{
        Api,
        convert::{money, page_size},
        status::invalid,
        v1,
    },
    account_of,
};
use crate::{
    charging::{Account, AccountState},
    ids::AccountId,
    units::Money,
};

/// Accounts of one page.
const PAGE_SIZE_MAX: usize = 500;
/// Accounts of a page whose size is not said.
const PAGE_SIZE_DEFAULT: usize = 100;
/// Accounts that are looked at for one page: a filter that few pass must not keep a call for ever.
const PAGE_LOOKS_MAX: usize = 10_000;

impl Api {
    pub(super) async fn page_of_accounts(
        &self,
        request: &v1::ListAccountsRequest,
    ) -> Result<v1::ListAccountsResponse, Status> {
        let limit = page_size(request.page_size, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
        let mut place = Place::read(&request.page_token)?;
        let filter = Filter::read(request)?;
        let (mut accounts, mut looks) = (Vec::new(), PAGE_LOOKS_MAX);
        loop {
            // No more are looked at than there is room for: none that fits is passed over.
            let count = looks.min(limit - accounts.len());
            if count == 0 {
                return Ok(v1::ListAccountsResponse { accounts, next_page_token: place.write() });
            }
            let page = self.store.accounts_page(place.partition, place.after, count, |account| filter.fits(account));
            let Some((page, last)) = page else { break };
            accounts.extend(self.durable(page).await?.iter().map(account_of));
            looks -= count;
            place = match last {
                Some(last) => Place { after: last, ..place },
                None => match place.partition.checked_add(1) {
                    Some(partition) => Place { partition, after: AccountId(0) },
                    None => break,
                },
            };
        }
        Ok(v1::ListAccountsResponse { accounts, next_page_token: String::new() })
    }
}

/// Which accounts.
struct Filter<'r> {
    state: Option<AccountState>,
    plan: &'r str,
    lapsed: Option<bool>,
    balance_below: Option<Money>,
    product: &'r str,
}

impl<'r> Filter<'r> {
    fn read(request: &'r v1::ListAccountsRequest) -> Result<Self, Status> {
        let below = request.balance_below.as_ref();
        let state = v1::AccountState::try_from(request.state);
        Ok(Self {
            state: match state.map_err(|_| invalid("state", "is none that an account can have"))? {
                v1::AccountState::Unspecified => None,
                v1::AccountState::Active => Some(AccountState::Active),
                v1::AccountState::Stopped => Some(AccountState::Stopped),
                v1::AccountState::Suspended => Some(AccountState::Suspended),
                v1::AccountState::Terminated => Some(AccountState::Terminated),
            },
            plan: &request.plan,
            lapsed: request.lapsed,
            // All accounts are in the catalog's currency: no other is created.
            balance_below: below.map(|_| money("balance_below", below)).transpose()?.map(|(amount, _)| amount),
            product: &request.product,
        })
    }

    fn fits(&self, account: &Account) -> bool {
        let has_product = || {
            let profile = account.profile.as_deref();
            profile.is_some_and(|profile| profile.subscriptions.iter().any(|it| *it.product == *self.product))
        };
        self.state.is_none_or(|state| account.state == state)
            && (self.plan.is_empty() || account.plan().is_some_and(|plan| **plan == *self.plan))
            && self.lapsed.is_none_or(|lapsed| account.is_lapsed() == lapsed)
            && self.balance_below.is_none_or(|amount| account.balance() < amount)
            && (self.product.is_empty() || has_product())
    }
}

/// Where the next page begins: after this account of this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    partition: u16,
    after: AccountId,
}

impl Place {
    const START: Self = Self { partition: 0, after: AccountId(0) };

    fn write(self) -> String {
        format!("{:04x}{:016x}", self.partition, self.after.0)
    }

    fn read(token: &str) -> Result<Self, Status> {
        if token.is_empty() {
            return Ok(Self::START);
        }
        let parsed = || {
            let (partition, after) = token.is_ascii().then_some(token)?.split_at_checked(4)?;
            let partition = u16::from_str_radix(partition, 16).ok()?;
            let place = Self { partition, after: AccountId(u64::from_str_radix(after, 16).ok()?) };
            // Only what was written: no signs, no capitals, no other length.
            (place.write() == token).then_some(place)
        };
        parsed().ok_or_else(|| invalid("page_token", "is not one that was given out"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_are_read_only_as_they_were_written() {
        let place = Place { partition: 63, after: AccountId(u64::MAX) };
        assert_eq!(Place::read(&place.write()).unwrap(), place);
        assert_eq!(Place::read("").unwrap(), Place::START);
        for token in ["x", "0011", "0011+00000000000000f", "001100000000000000FF", &"0".repeat(21)] {
            assert_eq!(Place::read(token).unwrap_err().code(), tonic::Code::InvalidArgument, "{token}");
        }
    }
}
