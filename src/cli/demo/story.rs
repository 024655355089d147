//! The story: what a gateway, a top-up system and provisioning see. Each step says what it expects and fails otherwise.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tonic::transport::Channel;

use crate::{
    api::v1::{
        self as api, account_service_client::AccountServiceClient, balance_service_client::BalanceServiceClient,
        event_service_client::EventServiceClient,
    },
    cli::{gateway::Gateway, say},
    diameter::{
        CreditControlAnswer, CreditControlRequest, Frame, Identity, ResultCode,
        credit_control::{FinalUnitAction, MultipleServices, RequestType, ServiceAnswer, ServiceUnits, UsedUnits},
        dictionary::requested_action,
    },
    units::{Money, Units},
};

const DATA: &str = "32251@3gpp.org";
const VOICE: &str = "32260@3gpp.org";
const SMS: &str = "32274@3gpp.org";
/// A subscriber of the seed: account 2 with 100.00 CNY.
const FIRST: &str = "8613900000001";
/// A subscriber that the story creates, with little money.
const POOR: &str = "8613900990001";
const POOR_ACCOUNT: u64 = 990_001;
const MB: u64 = 1_000_000;
/// How long an event or a re-authorisation may take to arrive: the promise is one second.
const SOON: Duration = Duration::from_secs(1);

/// Tells it.
pub(super) async fn tell(diameter: SocketAddr, grpc: SocketAddr) -> anyhow::Result<()> {
    let channel = Channel::from_shared(format!("http://{grpc}"))?.connect().await.context("connecting to gRPC")?;
    let gateway = Gateway::connect(diameter, "pgw1.demo.example", "demo.example").await?;
    let mut story = Story {
        me: gateway.identity().clone(),
        gateway,
        accounts: AccountServiceClient::new(channel.clone()),
        balances: BalanceServiceClient::new(channel.clone()),
        events: EventServiceClient::new(channel),
    };
    say(format_args!("The gateway is connected to {} (CER/CEA, application 4).", story.gateway.peer.origin_host))?;
    story.data_session().await.context("the data session")?;
    story.call().await.context("the call")?;
    story.message().await.context("the short message")?;
    story.money_runs_out().await.context("money runs out")?;
    story.allowance().await.context("the allowance")?;
    story.explanations().await.context("the explanations")?;
    story.gateway.disconnect().await.context("the disconnect")
}

struct Story {
    gateway: Gateway,
    me: Identity,
    accounts: AccountServiceClient<Channel>,
    balances: BalanceServiceClient<Channel>,
    events: EventServiceClient<Channel>,
}

/// One service of a request: rating group, usage to report, whether quota is wanted.
type Part = (u32, Option<u64>, bool);

impl Story {
    async fn data_session(&mut self) -> anyhow::Result<()> {
        title(1, &format!("A data session of subscriber {FIRST}, with two rating groups"))?;
        let session = self.gateway.new_session();
        let ask = [(1, None, true), (2, None, true)];
        let answer = self.data(&session, FIRST, RequestType::Initial, 0, &ask).await?;
        let (first, second) = (granted(&answer, 1)?, granted(&answer, 2)?);
        ensure!(first > 0 && second > 0, "both rating groups get a grant");
        let report = [(1, Some(first), true), (2, Some(4 * MB), true)];
        self.data(&session, FIRST, RequestType::Update, 1, &report).await?;
        told("the same request once more, as after a broken connection (T flag):")?;
        let before = self.balance(FIRST).await?;
        let answers = self.data_twice(&session, FIRST, 2, &[(1, Some(3 * MB), true)]).await?;
        ensure!(answers.0 == answers.1, "the retransmission gets the same answer");
        let charged = before.saturating_sub(self.balance(FIRST).await?);
        ensure!(charged.micros() == 30_000, "the retransmitted 3 MB are charged once, 0.03 CNY, not {charged}");
        told(&format!("the answers are alike, and {charged} CNY were charged, once"))?;
        let last = [(1, Some(0), false), (2, Some(MB), false)];
        self.data(&session, FIRST, RequestType::Termination, 3, &last).await?;
        let account = self.account(FIRST).await?;
        ensure!(money(&account.reserved)? == Money::ZERO, "nothing stays reserved");
        told(&format!("balance {} CNY, nothing reserved", money(&account.balance)?))?;
        Ok(())
    }

    async fn call(&mut self) -> anyhow::Result<()> {
        title(2, "A call of 75 seconds, charged by the started minute")?;
        let before = self.balance(FIRST).await?;
        let session = self.gateway.new_session();
        let seconds = |used: Option<u64>| used.map(|used| ServiceUnits::of(Units::seconds(used)));
        for (kind, number, used, wants) in [
            (RequestType::Initial, 0, None, true),
            (RequestType::Update, 1, Some(60), true),
            (RequestType::Termination, 2, Some(15), false),
        ] {
            let me = self.me.clone();
            let mut request = self.gateway.request(&session, &me, kind, number, VOICE, FIRST);
            request.services = vec![MultipleServices {
                requested: wants.then(|| ServiceUnits::of(Units::seconds(60))),
                used: seconds(used).map(|units| UsedUnits { units, ..UsedUnits::default() }),
                ..MultipleServices::default()
            }];
            let answer = self.ask(&mut request).await?;
            ensure!(answer.result_code == ResultCode::SUCCESS, "the call is accepted");
        }
        let charged = before.saturating_sub(self.balance(FIRST).await?);
        told(&format!("charged {charged} CNY: two started minutes"))?;
        ensure!(charged.micros() == 300_000, "two minutes at 0.15 CNY are 0.30 CNY, not {charged}");
        Ok(())
    }

    async fn message(&mut self) -> anyhow::Result<()> {
        title(3, "A short message, debited in one step")?;
        let before = self.balance(FIRST).await?;
        let (session, me) = (self.gateway.new_session(), self.me.clone());
        let mut request = self.gateway.request(&session, &me, RequestType::Event, 0, SMS, FIRST);
        request.requested_action = Some(requested_action::DIRECT_DEBITING);
        request.requested = Some(ServiceUnits::of(Units::events(1)));
        let answer = self.ask(&mut request).await?;
        ensure!(answer.result_code == ResultCode::SUCCESS, "the message is accepted");
        let charged = before.saturating_sub(self.balance(FIRST).await?);
        told(&format!("charged {charged} CNY"))?;
        ensure!(charged.micros() == 100_000, "a message costs 0.10 CNY, not {charged}");
        Ok(())
    }

    async fn money_runs_out(&mut self) -> anyhow::Result<()> {
        title(4, "Money runs out, a payment brings the line back")?;
        self.create_poor().await?;
        let subscribe = api::SubscribeRequest { consumer: "demo-provisioning".into(), ..Default::default() };
        let mut events = self.events.subscribe(subscribe).await?.into_inner();
        told("provisioning subscribes to events over gRPC")?;

        let session = self.gateway.new_session();
        let answer = self.data(&session, POOR, RequestType::Initial, 0, &[(1, None, true)]).await?;
        ensure!(granted(&answer, 1)? == 10 * MB, "the first grant is a whole slice");
        let answer = self.data(&session, POOR, RequestType::Update, 1, &[(1, Some(10 * MB), true)]).await?;
        ensure!(granted(&answer, 1)? == 5 * MB, "0.05 CNY pay for 5 MB");
        ensure!(service(&answer, 1)?.final_unit == Some(FinalUnitAction::Terminate), "they are the final units");
        let answer = self.data(&session, POOR, RequestType::Update, 2, &[(1, Some(5 * MB), true)]).await?;
        let refused = service(&answer, 1)?;
        ensure!(refused.result_code == Some(ResultCode::CREDIT_LIMIT_REACHED), "then there is no more");
        ensure!(answer.result_code == ResultCode::SUCCESS, "only the rating group is refused, the session lives on");
        loop {
            match next_event(&mut events).await? {
                api::event::Kind::CreditStop(_) => break told("event: CREDIT STOP (provisioning stops the line)")?,
                api::event::Kind::Threshold(threshold) => told(&format!("event: threshold {}", threshold.name))?,
                other => bail!("an unexpected event: {other:?}"),
            }
        }

        told("the customer pays 20.00 CNY (gRPC TopUp, request id demo-payment-1), and the shop sends it twice")?;
        let top_up = api::TopUpRequest {
            account: Some(account_ref(POOR)),
            amount: Some(api::Money { currency: "CNY".into(), amount: "20.00".into() }),
            request_id: "demo-payment-1".into(),
            ..Default::default()
        };
        let first = self.balances.top_up(top_up.clone()).await?.into_inner();
        let second = self.balances.top_up(top_up).await?.into_inner();
        ensure!(!first.duplicate && second.duplicate, "the second is known as a repetition");
        ensure!(first.balance == second.balance, "and gets the same answer");
        let is_top_up = matches!(next_event(&mut events).await?, api::event::Kind::TopUp(_));
        ensure!(is_top_up, "the top-up is an event");
        told("event: top-up")?;
        let is_reconnect = matches!(next_event(&mut events).await?, api::event::Kind::Reconnect(_));
        ensure!(is_reconnect, "the reconnect is an event");
        told("event: RECONNECT (provisioning opens the line)")?;
        let asked = tokio::time::timeout(SOON, self.gateway.reauthorised(ResultCode::LIMITED_SUCCESS)).await;
        let asked = asked.context("no Re-Auth-Request within a second")??;
        ensure!(asked == session.as_bytes(), "it is for the session that waits");
        told("<- RAR for the live session, answered 2002")?;
        let answer = self.data(&session, POOR, RequestType::Update, 3, &[(1, None, true)]).await?;
        ensure!(granted(&answer, 1)? == 10 * MB, "the session goes on");
        self.data(&session, POOR, RequestType::Termination, 4, &[(1, Some(2 * MB), false)]).await?;
        Ok(())
    }

    async fn allowance(&mut self) -> anyhow::Result<()> {
        title(5, "A bundle of 1 GB is used before money")?;
        let grant = api::GrantAllowanceRequest {
            account: Some(account_ref(POOR)),
            allowance: "data-1gb".into(),
            request_id: "demo-bundle-1".into(),
            ..Default::default()
        };
        self.balances.grant_allowance(grant).await?;
        let before = self.balance(POOR).await?;
        let session = self.gateway.new_session();
        self.data(&session, POOR, RequestType::Initial, 0, &[(1, None, true), (3, None, true)]).await?;
        let last = [(1, Some(7 * MB), false), (3, Some(2 * MB), false)];
        self.data(&session, POOR, RequestType::Termination, 1, &last).await?;
        let charged = before.saturating_sub(self.balance(POOR).await?);
        ensure!(charged == Money::ZERO, "the bundle pays for group 1, and group 3 is free, but {charged} were charged");
        told("charged 0.00 CNY: the bundle paid for group 1, and group 3 is free")?;
        Ok(())
    }

    async fn explanations(&mut self) -> anyhow::Result<()> {
        title(6, "Why? Every movement explains itself")?;
        for msisdn in [FIRST, POOR] {
            let request = api::ListHistoryRequest { account: Some(account_ref(msisdn)) };
            let entries = self.balances.list_history(request).await?.into_inner().entries;
            say(format_args!("   subscriber {msisdn}:"))?;
            let mut sum = Money::ZERO;
            for entry in &entries {
                let amount = money(&entry.amount)?;
                sum = sum.saturating_add(amount);
                say(format_args!("   {:>9} CNY   {}", amount.to_string(), entry.explanation))?;
                ensure!(!entry.explanation.is_empty(), "every entry has an explanation");
            }
            let balance = self.balance(msisdn).await?;
            say(format_args!("   {:>9} CNY   is the balance", balance.to_string()))?;
            ensure!(sum == balance, "the movements add up to {sum}, not to the balance");
        }
        Ok(())
    }

    async fn create_poor(&mut self) -> anyhow::Result<()> {
        let account = api::CreateAccountRequest {
            account_id: POOR_ACCOUNT,
            currency: "CNY".into(),
            initial_balance: Some(api::Money { currency: "CNY".into(), amount: "0.15".into() }),
            ..Default::default()
        };
        self.accounts.create_account(account).await?;
        let identity = api::Identity { kind: api::identity::Kind::E164 as i32, value: POOR.into() };
        let subscriber = api::Subscriber { subscriber_id: "line-1".into(), identities: vec![identity] };
        let request = api::CreateSubscriberRequest { account_id: POOR_ACCOUNT, subscriber: Some(subscriber) };
        self.accounts.create_subscriber(request).await?;
        told(&format!("account {POOR_ACCOUNT} with 0.15 CNY and subscriber {POOR} are created over gRPC"))?;
        Ok(())
    }

    async fn data(
        &mut self,
        session: &str,
        msisdn: &str,
        kind: RequestType,
        number: u32,
        parts: &[Part],
    ) -> anyhow::Result<CreditControlAnswer> {
        let me = self.me.clone();
        let mut request = self.gateway.request(session, &me, kind, number, DATA, msisdn);
        request.services = parts.iter().map(|part| mscc(*part)).collect();
        let answer = self.ask(&mut request).await?;
        ensure!(answer.result_code == ResultCode::SUCCESS, "the request is accepted, not {}", answer.result_code);
        Ok(answer)
    }

    /// An update, and the same again with the T flag. Both answers as they came, without their header.
    async fn data_twice(
        &mut self,
        session: &str,
        msisdn: &str,
        number: u32,
        parts: &[Part],
    ) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let me = self.me.clone();
        let mut request = self.gateway.request(session, &me, RequestType::Update, number, DATA, msisdn);
        request.services = parts.iter().map(|part| mscc(*part)).collect();
        let first = self.exchange(&mut request).await?;
        request.retransmitted = true;
        let second = self.exchange(&mut request).await?;
        Ok((first.body().to_vec(), second.body().to_vec()))
    }

    async fn ask(&mut self, request: &mut CreditControlRequest<'_>) -> anyhow::Result<CreditControlAnswer> {
        let frame = self.exchange(request).await?;
        Ok(CreditControlAnswer::parse(&frame)?.answer)
    }

    /// Asks, and tells both sides.
    async fn exchange(&mut self, request: &mut CreditControlRequest<'_>) -> anyhow::Result<Frame> {
        say(format_args!("   -> {}", told_request(request)))?;
        let frame = self.gateway.ask(request).await?;
        let received = CreditControlAnswer::parse(&frame)?;
        ensure!(received.request_type == Some(request.request_type), "the answer repeats the type");
        ensure!(received.request_number == Some(request.request_number), "the answer repeats the number");
        say(format_args!("   <- {}", told_answer(&received.answer)))?;
        Ok(frame)
    }

    async fn account(&mut self, msisdn: &str) -> anyhow::Result<api::Account> {
        let request = api::GetAccountRequest { account: Some(account_ref(msisdn)) };
        self.accounts.get_account(request).await?.into_inner().account.context("the answer has an account")
    }

    async fn balance(&mut self, msisdn: &str) -> anyhow::Result<Money> {
        money(&self.account(msisdn).await?.balance)
    }
}

fn title(number: u32, text: &str) -> anyhow::Result<()> {
    say(format_args!("\n{number}. {text}"))
}

fn told(text: &str) -> anyhow::Result<()> {
    say(format_args!("   {text}"))
}

fn mscc((group, used, wants): Part) -> MultipleServices<'static> {
    MultipleServices {
        rating_group: Some(group),
        requested: wants.then(ServiceUnits::default),
        used: used.map(|octets| UsedUnits { units: ServiceUnits::of(Units::octets(octets)), ..UsedUnits::default() }),
        ..MultipleServices::default()
    }
}

fn service(answer: &CreditControlAnswer, group: u32) -> anyhow::Result<&ServiceAnswer> {
    let found = answer.services.iter().find(|service| service.rating_group == Some(group));
    found.with_context(|| format!("the answer says nothing of rating group {group}"))
}

fn granted(answer: &CreditControlAnswer, group: u32) -> anyhow::Result<u64> {
    let units = service(answer, group)?.granted.and_then(|granted| granted.units.octets());
    units.with_context(|| format!("rating group {group} got no octets"))
}

async fn next_event(events: &mut tonic::Streaming<api::SubscribeResponse>) -> anyhow::Result<api::event::Kind> {
    let message = tokio::time::timeout(SOON, events.message()).await.context("no event within a second")??;
    message.and_then(|message| message.event?.kind).context("the stream of events has ended")
}

fn account_ref(msisdn: &str) -> api::AccountRef {
    let identity = api::Identity { kind: api::identity::Kind::E164 as i32, value: msisdn.into() };
    api::AccountRef { by: Some(api::account_ref::By::Identity(identity)) }
}

fn money(money: &Option<api::Money>) -> anyhow::Result<Money> {
    Ok(money.as_ref().context("an amount is missing")?.amount.parse()?)
}

fn told_request(request: &CreditControlRequest<'_>) -> String {
    let kind = match request.request_type {
        RequestType::Initial => "CCR initial    ",
        RequestType::Update => "CCR update     ",
        RequestType::Termination => "CCR termination",
        RequestType::Event => "CCR event      ",
    };
    let mut text = format!("{kind} #{}{}", request.request_number, if request.retransmitted { " (T)" } else { "" });
    for service in &request.services {
        let used = service.used.map(|used| format!(" used {}", told_units(&used.units))).unwrap_or_default();
        let wants = if service.requested.is_some() { " wants quota" } else { "" };
        let group = service.rating_group.map(|group| format!("group {group}:")).unwrap_or_else(|| "service:".into());
        text += &format!("  [{group}{used}{wants}]");
    }
    if let Some(units) = &request.requested {
        text += &format!("  [debit {}]", told_units(units));
    }
    text
}

fn told_answer(answer: &CreditControlAnswer) -> String {
    let mut text = format!("CCA {}", answer.result_code);
    for service in &answer.services {
        let group = service.rating_group.map(|group| format!("group {group}:")).unwrap_or_else(|| "service:".into());
        let result = match (&service.granted, service.result_code) {
            (Some(granted), _) => format!(" granted {}", told_units(&granted.units)),
            (None, Some(code)) => format!(" {code}"),
            (None, None) => String::new(),
        };
        let validity = service.validity_time.map(|secs| format!(" for {secs} s")).unwrap_or_default();
        let last = if service.final_unit.is_some() { ", the last units" } else { "" };
        text += &format!("  [{group}{result}{validity}{last}]");
    }
    if let Some(granted) = &answer.granted {
        text += &format!("  [granted {}]", told_units(&granted.units));
    }
    text
}

fn told_units(units: &ServiceUnits) -> String {
    match (units.octets(), units.time, units.specific) {
        (Some(octets), ..) if octets % MB == 0 => format!("{} MB", octets / MB),
        (Some(octets), ..) => format!("{octets} octets"),
        (_, Some(seconds), _) => format!("{seconds} s"),
        (_, _, Some(events)) => format!("{events} units"),
        _ => "any".into(),
    }
}
