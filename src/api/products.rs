//! `ProductService`.

use tonic::{Request, Response, Status};

use super::{
    Api,
    by::Caller,
    convert::{kind_of, millis, money_of, name, optional_reason, page_size},
    status::{answered, invalid},
    v1::{self, product_service_server::ProductService},
};
use crate::{
    charging::{Account, Cycle, Manage, ManageCommand, MemberNo, Profile, Subscription, When},
    rating::{Included, Period, Product, Unpaid},
    time::Timestamp,
    units::{Currency, Money},
};

/// Products of one page.
const PAGE_SIZE_MAX: usize = 100;

#[tonic::async_trait]
impl ProductService for Api {
    async fn list_products(
        &self,
        request: Request<v1::ListProductsRequest>,
    ) -> Result<Response<v1::ListProductsResponse>, Status> {
        answered("ListProducts", async { self.page_of_products(request.get_ref()) }).await
    }

    async fn buy_product(
        &self,
        request: Request<v1::BuyProductRequest>,
    ) -> Result<Response<v1::BuyProductResponse>, Status> {
        answered("BuyProduct", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let (product, member) = (name("product", &request.product)?, MemberNo(request.member));
            let what = Manage::Buy { product, member, start: when(request.start.as_ref())? };
            let (request_id, reason) = (name("request_id", &request.request_id)?, optional_reason(&request.reason)?);
            let command = ManageCommand { account, request_id, reason, what };
            let duplicate = self.manage(&caller, "BuyProduct", command).await?;
            let account = Some(products_of(&self.read_account(account).await?));
            Ok(v1::BuyProductResponse { account, duplicate })
        })
        .await
    }

    async fn change_product(
        &self,
        request: Request<v1::ChangeProductRequest>,
    ) -> Result<Response<v1::ChangeProductResponse>, Status> {
        answered("ChangeProduct", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let (to, when) = (name("product", &request.product)?, when(request.start.as_ref())?);
            let what = Manage::ChangeProduct { subscription: number(request.subscription)?, to, when };
            let (request_id, reason) = (name("request_id", &request.request_id)?, optional_reason(&request.reason)?);
            let command = ManageCommand { account, request_id, reason, what };
            let duplicate = self.manage(&caller, "ChangeProduct", command).await?;
            let account = Some(products_of(&self.read_account(account).await?));
            Ok(v1::ChangeProductResponse { account, duplicate })
        })
        .await
    }

    async fn cancel_product(
        &self,
        request: Request<v1::CancelProductRequest>,
    ) -> Result<Response<v1::CancelProductResponse>, Status> {
        answered("CancelProduct", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let subscription = number(request.subscription)?;
            let what = Manage::CancelProduct { subscription, when: when(request.start.as_ref())? };
            let (request_id, reason) = (name("request_id", &request.request_id)?, optional_reason(&request.reason)?);
            let command = ManageCommand { account, request_id, reason, what };
            let duplicate = self.manage(&caller, "CancelProduct", command).await?;
            let account = Some(products_of(&self.read_account(account).await?));
            Ok(v1::CancelProductResponse { account, duplicate })
        })
        .await
    }

    async fn list_subscriptions(
        &self,
        request: Request<v1::ListSubscriptionsRequest>,
    ) -> Result<Response<v1::ListSubscriptionsResponse>, Status> {
        answered("ListSubscriptions", async {
            let account = self.resolve("account", request.get_ref().account.as_ref())?;
            Ok(v1::ListSubscriptionsResponse { account: Some(products_of(&self.read_account(account).await?)) })
        })
        .await
    }

    async fn set_cycle_day(
        &self,
        request: Request<v1::SetCycleDayRequest>,
    ) -> Result<Response<v1::SetCycleDayResponse>, Status> {
        answered("SetCycleDay", async {
            let (caller, request) = (Caller::of(&request), request.get_ref());
            let account = self.resolve("account", request.account.as_ref())?;
            let day = u8::try_from(request.day).ok().filter(|day| (1..=28).contains(day));
            let day = day.ok_or_else(|| invalid("day", format_args!("must be 1 to 28, is {}", request.day)))?;
            let what = Manage::SetCycleDay(day);
            let (request_id, reason) = (name("request_id", &request.request_id)?, optional_reason(&request.reason)?);
            let command = ManageCommand { account, request_id, reason, what };
            let duplicate = self.manage(&caller, "SetCycleDay", command).await?;
            let account = Some(products_of(&self.read_account(account).await?));
            Ok(v1::SetCycleDayResponse { account, duplicate })
        })
        .await
    }
}

impl Api {
    fn page_of_products(&self, request: &v1::ListProductsRequest) -> Result<v1::ListProductsResponse, Status> {
        let catalog = self.store.catalog();
        let size = page_size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let products = catalog.products();
        // The name of the last product of the page before.
        let from = match request.page_token.as_str() {
            "" => Some(0),
            last => products.iter().position(|product| *product.name == *last).map(|place| place + 1),
        };
        let from = from.ok_or_else(|| invalid("page_token", "is not one that was given out for this catalog"))?;
        let rest = products.get(from..).unwrap_or_default();
        let page = &rest[..size.min(rest.len())];
        let next = page.last().filter(|_| page.len() < rest.len());
        Ok(v1::ListProductsResponse {
            products: page.iter().map(|product| product_of(product, catalog.currency())).collect(),
            next_page_token: next.map_or_else(String::new, |product| product.name.to_string()),
        })
    }
}

pub(super) fn number(subscription: u32) -> Result<u32, Status> {
    if subscription == 0 {
        Err(invalid("subscription", "is required: its number in the account"))
    } else {
        Ok(subscription)
    }
}

pub(super) fn when(start: Option<&v1::Start>) -> Result<When, Status> {
    use v1::start::At;
    match start.and_then(|start| start.at.as_ref()) {
        None | Some(At::NextPeriod(false)) => Ok(When::Now),
        Some(At::NextPeriod(true)) => Ok(When::Next),
        Some(At::AtMs(at)) => match u64::try_from(*at) {
            Ok(at) => Ok(When::At(Timestamp::from_millis(at))),
            Err(_) => Err(invalid("start.at_ms", "must not be before 1970")),
        },
    }
}

fn product_of(product: &Product, currency: Currency) -> v1::Product {
    let money = |amount| Some(money_of(amount, currency));
    let names = |names: &[std::sync::Arc<str>]| names.iter().map(|name| name.to_string()).collect();
    v1::Product {
        name: product.name.to_string(),
        setup_fee: money(product.setup_fee),
        fee: money(product.fee),
        period: match product.period {
            None => String::new(),
            Some(Period::Day) => "day".into(),
            Some(Period::Week) => "week".into(),
            Some(Period::Cycle) => "cycle".into(),
            Some(Period::Seconds(secs)) => format!("{secs} s"),
        },
        prorate: product.prorate,
        allowances: product.allowances.iter().map(included_of).collect(),
        discounts: names(&product.discounts),
        limits: names(&product.limits),
        floor: Some(product.floor).filter(|floor| *floor != Money::ZERO).and_then(money),
        trial_seconds: product.trial_secs,
        lasts_seconds: product.lasts_secs.unwrap_or(0),
        unpaid: match product.unpaid {
            Unpaid::Charge => "charge",
            Unpaid::Pause => "pause",
            Unpaid::Cancel => "cancel",
        }
        .into(),
        most: product.most,
    }
}

fn included_of(included: &Included) -> v1::IncludedAllowance {
    let allowance = &included.allowance;
    v1::IncludedAllowance {
        allowance: allowance.name.to_string(),
        units: Some(v1::Units { kind: kind_of(allowance.kind).into(), amount: allowance.amount }),
        roll_over: included.roll_over.map_or(0, |terms| terms.most),
        roll_over_periods: included.roll_over.map_or(0, |terms| u32::from(terms.periods)),
    }
}

/// What an account has of products, and its cycles.
pub(super) fn products_of(account: &Account) -> v1::AccountProducts {
    let profile = account.profile.as_deref();
    let subscriptions = profile.iter().flat_map(|profile| &profile.subscriptions);
    let cycle = |cycle: &Cycle| cycle_of(account, cycle);
    v1::AccountProducts {
        balance: Some(money_of(account.balance(), account.currency)),
        subscriptions: subscriptions.map(subscription_of).collect(),
        cycle_day: profile.filter(|profile| profile.cycle.is_some()).map_or(0, |profile| profile.cycle_day().into()),
        cycle: profile.and_then(|profile: &Profile| profile.cycle.as_ref()).map(cycle),
        previous_cycle: profile.and_then(|profile| profile.previous.as_ref()).map(cycle),
    }
}

fn subscription_of(subscription: &Subscription) -> v1::Subscription {
    use v1::subscription::State;
    let moment = |at: Option<Timestamp>| at.map_or(0, millis);
    let state = match (subscription.paused, subscription.begun) {
        (true, _) => State::Paused,
        (false, true) => State::Active,
        (false, false) => State::Waiting,
    };
    v1::Subscription {
        subscription: subscription.no,
        product: subscription.product.to_string(),
        member: subscription.member.0,
        bought_at_ms: millis(subscription.bought),
        starts_at_ms: millis(subscription.starts),
        renews_at_ms: moment(subscription.renews.filter(|_| !subscription.paused)),
        ends_at_ms: moment(subscription.ends),
        trial_until_ms: moment(subscription.trial_until),
        state: state.into(),
        becomes: subscription.becomes.as_deref().unwrap_or_default().to_owned(),
    }
}

fn cycle_of(account: &Account, cycle: &Cycle) -> v1::Cycle {
    let money = |amount| Some(money_of(amount, account.currency));
    v1::Cycle {
        starts_at_ms: millis(cycle.starts),
        ends_at_ms: millis(cycle.ends),
        closes_at_ms: millis(cycle.closes),
        opening: money(cycle.opening),
        fees: money(cycle.fees),
        credits: money(cycle.credits),
        usage: money(cycle.usage(account)),
    }
}
