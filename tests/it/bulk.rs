//! Bulk changes over the API: who may submit and approve them, what the limits are, and that the whole server may be killed.

use std::{fmt::Write as _, fs};

use tollgate::{
    api::{
        client::Channel,
        v1::{
            self, account_ref::By, account_service_client::AccountServiceClient,
            balance_service_client::BalanceServiceClient, bulk::Stage, bulk_change::Change, bulk_item::State,
            bulk_service_client::BulkServiceClient, voucher_batch::Value, voucher_service_client::VoucherServiceClient,
        },
    },
    config::Role,
    ids::{AccountId, IdentityKind},
    store::{AuditFilter, AuditTrail, TransferOrder},
    units::Money,
};
use tonic::{Code, Response, Status};

use crate::{
    access::{Desk, in_clear, said, tollgate},
    process::{self, Process},
    support::{DEMO_CATALOG, TestNode},
};

/// Callers of these names and roles, with tokens.
const CALLERS: [(&str, Role); 7] = [
    ("alice", Role::Care),
    ("bob", Role::Care),
    ("hlr", Role::Provisioning),
    ("ops", Role::Operator),
    ("boss", Role::Operator),
    ("audit", Role::Auditor),
    ("shop", Role::SelfService),
];

/// A node on which two changes, or 100.00, need no approval.
async fn node(desk: &Desk) -> TestNode {
    TestNode::start(DEMO_CATALOG, |config| {
        config.grpc.caller = CALLERS.iter().map(|(name, role)| desk.with_token(name, *role)).collect();
        (config.approval.changes, config.approval.money) = (2, Money::from_micros(100_000_000));
    })
    .await
}

async fn channel(desk: &Desk, node: &TestNode, name: &str) -> Channel {
    in_clear(node.node.grpc, Some(&desk.token(name))).await
}

async fn bulks(desk: &Desk, node: &TestNode, name: &str) -> BulkServiceClient<Channel> {
    BulkServiceClient::new(channel(desk, node, name).await)
}

fn cny(amount: &str) -> v1::Money {
    v1::Money { amount: amount.to_owned(), currency: "CNY".to_owned() }
}

fn account(id: u64) -> Option<v1::AccountRef> {
    Some(v1::AccountRef { by: Some(By::AccountId(id)) })
}

fn change(id: u64, change: Change) -> v1::BulkChange {
    v1::BulkChange { account: account(id), change: Some(change) }
}

fn adjust(id: u64, amount: &str) -> v1::BulkChange {
    change(id, Change::Adjust(cny(amount)))
}

fn submit(request_id: &str, changes: &[v1::BulkChange]) -> v1::SubmitBulkRequest {
    v1::SubmitBulkRequest { changes: changes.to_vec(), reason: "bill".into(), request_id: request_id.into() }
}

fn approve(bulk_id: u64) -> v1::ApproveBulkRequest {
    v1::ApproveBulkRequest { bulk_id, reason: "seen".into() }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<Response<T>, Status>, code: Code, message: &str) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), (code, message));
}

/// The bulk change and its first changes, once it has ended.
async fn ended(client: &mut BulkServiceClient<Channel>, bulk_id: u64) -> v1::Bulk {
    tokio::time::timeout(process::PATIENCE, async {
        loop {
            let request = v1::GetBulkRequest { bulk_id, ..Default::default() };
            let bulk = client.get_bulk(request).await.unwrap().into_inner().bulk.unwrap();
            if bulk.ended_at_ms > 0 {
                return bulk;
            }
        }
    })
    .await
    .expect("it does not end")
}

#[tokio::test]
async fn what_is_large_waits_for_somebody_else_of_the_right_role() {
    let desk = Desk::new();
    let node = node(&desk).await;
    let (mut alice, mut bob) = (bulks(&desk, &node, "alice").await, bulks(&desk, &node, "bob").await);
    let changes = [adjust(1, "-5.00"), adjust(2, "7.00"), adjust(3, "-1000.00")];
    let first = alice.submit_bulk(submit("r1", &changes)).await.unwrap().into_inner();
    let bulk = first.bulk.unwrap();
    assert_eq!((bulk.stage(), &*bulk.submitted_by, first.duplicate), (Stage::Pending, "alice", false));
    assert_eq!((bulk.changes, bulk.money, bulk.executed), (3, Some(cny("1012.00")), 0));
    assert_eq!(bulk.expires_at_ms - bulk.submitted_at_ms, 72 * 3_600_000);
    let again = alice.submit_bulk(submit("r1", &changes)).await.unwrap().into_inner();
    assert_eq!((again.bulk.unwrap().bulk_id, again.duplicate), (bulk.bulk_id, true));
    let reused = "request_id: request id `r1` was used before for something else";
    refused(bob.submit_bulk(submit("r1", &changes)).await, Code::FailedPrecondition, reused);

    // Everyone who sees many accounts sees it, and only those.
    for (name, may) in [("audit", true), ("hlr", true), ("ops", true), ("shop", false)] {
        let mut client = bulks(&desk, &node, name).await;
        assert_eq!(client.list_bulks(v1::ListBulksRequest::default()).await.is_ok(), may, "{name}");
    }
    let id = bulk.bulk_id;
    let own = format!("bulk_id: bulk change {id} was submitted by `alice`: somebody else must approve it");
    refused(alice.approve_bulk(approve(id)).await, Code::PermissionDenied, &own);
    let hlr = "caller `hlr` (provisioning) may not call tollgate.v1.BalanceService/Adjust: it is for care, operator";
    refused(bulks(&desk, &node, "hlr").await.approve_bulk(approve(id)).await, Code::PermissionDenied, hlr);
    for (name, role) in [("audit", "auditor"), ("shop", "self-service")] {
        let mut client = bulks(&desk, &node, name).await;
        let denied = format!(
            "caller `{name}` ({role}) may not call tollgate.v1.BulkService/ApproveBulk: it is for provisioning, care, operator"
        );
        refused(client.approve_bulk(approve(id)).await, Code::PermissionDenied, &denied);
    }
    assert_eq!(node.balance(1).0, 100_000_000);
    let approved = bob.approve_bulk(approve(id)).await.unwrap().into_inner().bulk.unwrap();
    assert_eq!((&*approved.decided_by, &*approved.decision_reason), ("bob", "seen"));
    let done = ended(&mut alice, id).await;
    assert_eq!((done.stage(), done.executed, done.refused), (Stage::Done, 3, 0));
    assert_eq!([1, 2, 3].map(|id| node.balance(id).0), [95_000_000, 107_000_000, -900_000_000]);
    let late = format!("bulk_id: bulk change {id} does not wait for approval: it is done");
    let reject = v1::RejectBulkRequest { bulk_id: id, reason: "late".into() };
    refused(alice.reject_bulk(reject).await, Code::FailedPrecondition, &late);
    let unknown = "bulk_id: there is no bulk change 77, or it is no longer kept";
    refused(bob.approve_bulk(approve(77)).await, Code::NotFound, unknown);
    let reject = v1::RejectBulkRequest { bulk_id: 77, reason: String::new() };
    refused(bob.reject_bulk(reject).await, Code::InvalidArgument, "reason: is required");
}

#[tokio::test]
async fn the_limits_are_of_changes_and_of_money_and_hold_for_single_adjustments() {
    let desk = Desk::new();
    let node = node(&desk).await;
    let mut alice = bulks(&desk, &node, "alice").await;
    let small = submit("small", &[adjust(1, "-50.00"), adjust(9_999, "1.00")]);
    refused(alice.submit_bulk(small).await, Code::NotFound, "changes[1].account: 9999 does not exist");
    // The sum of both, whatever their signs.
    let small = alice.submit_bulk(submit("small", &[adjust(1, "-50.00"), adjust(2, "50.00")])).await.unwrap();
    let small = small.into_inner().bulk.unwrap();
    assert_eq!((small.stage(), small.expires_at_ms), (Stage::Running, 0));
    assert_eq!(ended(&mut alice, small.bulk_id).await.executed, 2);
    let dear = alice.submit_bulk(submit("dear", &[adjust(1, "-50.00"), adjust(2, "50.01")])).await.unwrap();
    assert_eq!(dear.into_inner().bulk.unwrap().stage(), Stage::Pending);

    let mut balances = BalanceServiceClient::new(channel(&desk, &node, "alice").await);
    let one = |amount: &str| {
        let request_id = format!("one {amount}");
        v1::AdjustRequest { account: account(3), amount: Some(cny(amount)), request_id, reason: "bill".into() }
    };
    let (small, more, less) = (one("100.00"), one("100.01"), one("-100.01"));
    balances.adjust(small).await.unwrap();
    let why = "amount: an adjustment by more than 100.00 (approval.money) needs a second person's approval: submit it as a \
               bulk change";
    refused(balances.adjust(more).await, Code::FailedPrecondition, why);
    refused(balances.adjust(less).await, Code::FailedPrecondition, why);
    assert_eq!(node.balance(3).0, 200_000_000);

    // What a caller may not do once, it may not do often.
    let plan = submit("plan", &[change(1, Change::SetPlan(String::new()))]);
    let denied =
        "caller `alice` (care) may not call tollgate.v1.AccountService/SetPlan: it is for provisioning, operator";
    refused(alice.submit_bulk(plan.clone()).await, Code::PermissionDenied, denied);
    // The first of another kind is asked for, whatever is before it.
    let mixed = submit("mixed", &[adjust(1, "1.00"), adjust(2, "1.00"), change(1, Change::SetPlan(String::new()))]);
    refused(alice.submit_bulk(mixed).await, Code::PermissionDenied, denied);
    bulks(&desk, &node, "hlr").await.submit_bulk(plan).await.unwrap();
    let before_1970 = v1::Start { at: Some(v1::start::At::AtMs(-1)) };
    for (changes, code, message) in [
        (vec![], Code::InvalidArgument, "changes: are 0, must be 1 to 100000"),
        (vec![v1::BulkChange::default()], Code::InvalidArgument, "changes[0]: says nothing of what is to be done"),
        (
            vec![adjust(1, "1.00"), adjust(1, "0.00")],
            Code::InvalidArgument,
            "changes[1].adjust.amount: must not be zero, and at most 9223372036.854775",
        ),
        (
            vec![change(1, Change::TopUp(cny("-1.00")))],
            Code::InvalidArgument,
            "changes[0].top_up.amount: must be above zero",
        ),
        (
            vec![change(1, Change::Adjust(v1::Money { amount: "1.00".into(), currency: "EUR".into() }))],
            Code::InvalidArgument,
            "changes[0].adjust.currency: is not CNY",
        ),
        (
            vec![change(1, Change::GrantAllowance("x".into()))],
            Code::NotFound,
            "changes[0].grant_allowance: the catalog has no `x`",
        ),
        (
            vec![change(1, Change::UnblockVouchers("x".into()))],
            Code::InvalidArgument,
            "changes[0].account: is not named where vouchers are unblocked",
        ),
        (
            vec![v1::BulkChange { account: None, change: Some(Change::UnblockVouchers("x".into())) }],
            Code::NotFound,
            "changes[0].unblock_vouchers: there is no batch `x`",
        ),
        (
            vec![change(1, Change::SetState(v1::AccountState::Stopped.into()))],
            Code::InvalidArgument,
            "changes[0].set_state: must be ACTIVE, SUSPENDED or TERMINATED",
        ),
        (
            vec![change(1, Change::Cancel(v1::BulkCancel::default()))],
            Code::InvalidArgument,
            "changes[0]: subscription: is required: its number in the account",
        ),
        (
            vec![change(1, Change::Cancel(v1::BulkCancel { subscription: 1, start: Some(before_1970) }))],
            Code::InvalidArgument,
            "changes[0]: start.at_ms: must not be before 1970",
        ),
    ] {
        let mut ops = bulks(&desk, &node, "ops").await;
        refused(ops.submit_bulk(submit("wrong", &changes)).await, code, message);
    }
}

#[tokio::test]
async fn the_limit_holds_for_transfers_and_openings_of_accounts() {
    let desk = Desk::new();
    let node = node(&desk).await;
    let mut balances = BalanceServiceClient::new(channel(&desk, &node, "alice").await);
    let mut accounts = AccountServiceClient::new(channel(&desk, &node, "hlr").await);
    node.provision(50, &[], 500_000_000);
    let send = |amount: &str, request_id: &str| v1::TransferRequest {
        from: account(50),
        to: account(1),
        amount: Some(cny(amount)),
        request_id: request_id.into(),
        reason: "gift".into(),
    };
    balances.transfer(send("100.00", "t1")).await.unwrap();
    let why = "amount: a transfer of more than 100.00 (approval.money) needs a second person's approval: adjust both accounts by \
               a bulk change instead";
    refused(balances.transfer(send("100.01", "t2")).await, Code::FailedPrecondition, why);
    // One that was made before there was a limit is answered as then.
    let store = &node.node.store;
    let (from, to, currency) = (AccountId(50), AccountId(1), store.catalog().currency());
    let amount = Money::from_micros(150_000_000);
    let order = TransferOrder { from, to, amount, currency, request_id: "t3", reason: "gift" };
    store.mark().admit(store.send_transfer(order)).ok();
    let again = balances.transfer(send("150.00", "t3")).await.unwrap().into_inner();
    assert_eq!((again.balance, again.duplicate), (Some(cny("250.00")), true));
    assert_eq!((node.balance(50).0, node.balance(1).0), (250_000_000, 350_000_000));

    let open = |id: u64, amount: &str| v1::CreateAccountRequest {
        account_id: id,
        currency: "CNY".into(),
        initial_balance: Some(cny(amount)),
        ..Default::default()
    };
    accounts.create_account(open(60, "100.00")).await.unwrap();
    let why = "initial_balance: an opening amount of more than 100.00 (approval.money) needs a second person's approval: create \
               the account with less, and adjust it by a bulk change";
    refused(accounts.create_account(open(61, "100.01")).await, Code::FailedPrecondition, why);
    assert!(!store.has_account(AccountId(61)));
    node.provision(62, &[], 200_000_000);
    accounts.create_account(open(62, "200.00")).await.unwrap();
    let trail = AuditTrail::look(&node.directory.path().join("data/audit"));
    let refusal = |method: &str| {
        store.write_trails().unwrap();
        let filter = AuditFilter { method: Some(method.into()), ..Default::default() };
        let (lines, _) = trail.page(&filter, None, 100).unwrap();
        lines.iter().filter(|line| !line.refusal.is_empty()).map(|line| line.target.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((refusal("Transfer"), refusal("CreateAccount")), (vec!["account 50".into()], vec!["account 61".into()]));
}

#[tokio::test]
async fn a_repetition_is_answered_though_a_line_that_it_names_is_gone() {
    let desk = Desk::new();
    let node = node(&desk).await;
    node.provision(50, &[(IdentityKind::E164, "8613911112222")], 0);
    let mut ops = bulks(&desk, &node, "ops").await;
    let line = v1::Identity { kind: v1::identity::Kind::E164.into(), value: "8613911112222".into() };
    let named = Some(v1::AccountRef { by: Some(By::Identity(line)) });
    let one = |amount: &str| v1::BulkChange { account: named.clone(), change: Some(Change::Adjust(cny(amount))) };
    let first = ops.submit_bulk(submit("r1", &[one("1.00")])).await.unwrap().into_inner();
    let remove = v1::RemoveSubscriberRequest {
        account: account(50),
        subscriber_id: "1".into(),
        request_id: "gone".into(),
        reason: "ported".into(),
    };
    AccountServiceClient::new(channel(&desk, &node, "ops").await).remove_subscriber(remove).await.unwrap();
    let again = ops.submit_bulk(submit("r1", &[one("1.00")])).await.unwrap().into_inner();
    assert_eq!((again.bulk.unwrap().bulk_id, again.duplicate), (first.bulk.unwrap().bulk_id, true));
    let reused = "request_id: request id `r1` was used before for something else";
    refused(ops.submit_bulk(submit("r1", &[one("2.00")])).await, Code::FailedPrecondition, reused);
    assert_eq!(ops.submit_bulk(submit("r2", &[one("1.00")])).await.unwrap_err().code(), Code::NotFound);
}

/// While a batch is made, partition by partition, it weighs less than it will.
#[tokio::test(flavor = "multi_thread")]
async fn a_dear_batch_cannot_be_unblocked_while_it_is_made() {
    let desk = Desk::new();
    let node = node(&desk).await;
    let mut making = VoucherServiceClient::new(channel(&desk, &node, "ops").await);
    let make = v1::CreateVoucherBatchRequest {
        batch: Some(v1::VoucherBatch {
            name: "dear".into(),
            value: Some(Value::Money(cny("0.0101"))),
            valid_until: 4_000_000_000,
        }),
        count: 10_000,
        reason: "shop".into(),
    };
    let making = tokio::spawn(async move { making.create_voucher_batch(make).await.unwrap().into_inner() });
    let mut vouchers = VoucherServiceClient::new(channel(&desk, &node, "ops").await);
    let unblock =
        |name: &str| v1::BlockVoucherBatchRequest { name: name.into(), blocked: false, reason: "mine".into() };
    let mut answers = Vec::new();
    while answers.last() != Some(&Code::FailedPrecondition) && answers.last() != Some(&Code::Ok) {
        let answer = vouchers.block_voucher_batch(unblock("dear")).await;
        answers.push(answer.map_or_else(|status| status.code(), |_| Code::Ok));
    }
    let (last, before) = answers.split_last().unwrap();
    assert!(*last == Code::FailedPrecondition && before.iter().all(|code| *code == Code::NotFound), "{answers:?}");
    assert!(making.await.unwrap().blocked);
    let listed = vouchers.list_voucher_batches(v1::ListVoucherBatchesRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.batches.len(), listed.batches[0].blocked), (1, true));
    refused(vouchers.block_voucher_batch(unblock("none")).await, Code::NotFound, "there is no batch `none`");
}

#[tokio::test]
async fn pages_tell_all_changes_and_all_bulk_changes() {
    let desk = Desk::new();
    let node = node(&desk).await;
    let mut ops = bulks(&desk, &node, "ops").await;
    let changes = [
        adjust(1, "1.00"),
        change(2, Change::TopUp(cny("2.00"))),
        change(3, Change::SetState(v1::AccountState::Suspended.into())),
        change(4, Change::SetState(v1::AccountState::Terminated.into())),
        change(4, Change::SetState(v1::AccountState::Active.into())),
        change(5, Change::GrantAllowance("sms-100".into())),
        change(6, Change::Cancel(v1::BulkCancel { subscription: 9, start: None })),
    ];
    let id = ops.submit_bulk(submit("many", &changes)).await.unwrap().into_inner().bulk.unwrap().bulk_id;
    let (mut told, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::GetBulkRequest { bulk_id: id, page_size: 3, page_token, refused: false };
        let page = ops.get_bulk(request).await.unwrap().into_inner();
        assert!((1..=3).contains(&page.items.len()));
        assert!(page.items.iter().all(|item| item.state() == State::Waiting));
        told.extend(page.items.into_iter().map(|item| format!("{} {} {}", item.number, item.account_id, item.what)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected = [
        "1 1 adjust 1.00",
        "2 2 top up 2.00",
        "3 3 set state suspended",
        "4 4 set state terminated",
        "5 4 set state active",
        "6 5 grant allowance sms-100",
        "7 6 cancel subscription 9",
    ];
    assert_eq!(told, expected);
    bulks(&desk, &node, "boss").await.approve_bulk(approve(id)).await.unwrap();
    let done = ended(&mut ops, id).await;
    assert_eq!((done.executed, done.refused), (7, 2));
    let page = ops.get_bulk(v1::GetBulkRequest { bulk_id: id, ..Default::default() }).await.unwrap().into_inner();
    let told: Vec<_> = page.items.iter().map(|item| (item.number, item.state(), &*item.refusal)).collect();
    assert_eq!(told[0], (5, State::Refused, "account 4 is terminated"));
    assert_eq!((told.len(), told[1].0, told[1].1), (2, 7, State::Refused));

    for number in 0..4 {
        ops.submit_bulk(submit(&format!("n{number}"), &[adjust(9, "1.00")])).await.unwrap();
    }
    let (mut told, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListBulksRequest { page_size: 2, page_token, ..Default::default() };
        let page = ops.list_bulks(request).await.unwrap().into_inner();
        told.extend(page.bulks.into_iter().map(|bulk| bulk.bulk_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(told, [5, 4, 3, 2, 1]);
    let pending = v1::ListBulksRequest { stage: Stage::Pending.into(), ..Default::default() };
    assert!(ops.list_bulks(pending).await.unwrap().into_inner().bulks.is_empty());
    let wrong = v1::ListBulksRequest { page_size: 501, ..Default::default() };
    refused(ops.list_bulks(wrong).await, Code::InvalidArgument, "page_size: must be at most 500");
}

#[tokio::test]
async fn a_dear_batch_of_vouchers_is_blocked_until_somebody_else_approves_it() {
    let desk = Desk::new();
    let node = node(&desk).await;
    let mut vouchers = VoucherServiceClient::new(channel(&desk, &node, "ops").await);
    let make = |name: &str, count: u32, value: Value| v1::CreateVoucherBatchRequest {
        batch: Some(v1::VoucherBatch { name: name.into(), value: Some(value), valid_until: 4_000_000_000 }),
        count,
        reason: "shop".into(),
    };
    let redeem = |code: &str, request_id: &str| v1::RedeemVoucherRequest {
        account: account(1),
        code: code.to_owned(),
        request_id: request_id.to_owned(),
    };
    let unblock =
        |name: &str| v1::BlockVoucherBatchRequest { name: name.into(), blocked: false, reason: "mine".into() };
    let small =
        vouchers.create_voucher_batch(make("small", 10, Value::Money(cny("10.00")))).await.unwrap().into_inner();
    assert_eq!((small.blocked, small.bulk_id), (false, 0));
    vouchers.redeem_voucher(redeem(&small.codes[0], "r1")).await.unwrap();
    vouchers.block_voucher_batch(v1::BlockVoucherBatchRequest { blocked: true, ..unblock("small") }).await.unwrap();
    vouchers.block_voucher_batch(unblock("small")).await.unwrap();

    let dear = vouchers.create_voucher_batch(make("dear", 11, Value::Money(cny("10.00")))).await.unwrap().into_inner();
    assert!(dear.blocked && dear.bulk_id > 0 && dear.codes.len() == 11);
    refused(
        vouchers.redeem_voucher(redeem(&dear.codes[0], "r2")).await,
        Code::FailedPrecondition,
        "the voucher is blocked",
    );
    let why = "name: unblocking batch `dear` needs a second person's approval: submit it as a bulk change \
               (unblock_vouchers), or approve the one that waits";
    refused(vouchers.block_voucher_batch(unblock("dear")).await, Code::FailedPrecondition, why);
    let mut ops = bulks(&desk, &node, "ops").await;
    let own = format!("bulk_id: bulk change {} was submitted by `ops`: somebody else must approve it", dear.bulk_id);
    refused(ops.approve_bulk(approve(dear.bulk_id)).await, Code::PermissionDenied, &own);
    let care = "caller `bob` (care) may not call tollgate.v1.VoucherService/BlockVoucherBatch: it is for operator";
    let mut bob = bulks(&desk, &node, "bob").await;
    refused(bob.approve_bulk(approve(dear.bulk_id)).await, Code::PermissionDenied, care);
    let mut boss = bulks(&desk, &node, "boss").await;
    let told = boss.approve_bulk(approve(dear.bulk_id)).await.unwrap().into_inner().bulk.unwrap();
    assert_eq!((told.money, &*told.request_id), (Some(cny("110.00")), "voucher batch dear"));
    assert_eq!(ended(&mut boss, dear.bulk_id).await.refused, 0);
    vouchers.redeem_voucher(redeem(&dear.codes[0], "r2")).await.unwrap();
    assert_eq!(node.balance(1).0, 120_000_000);
    // Of an allowance the vouchers are counted.
    for (name, count, waits) in [("two", 2, false), ("three", 3, true)] {
        let value = Value::Allowance("sms-100".into());
        let made = vouchers.create_voucher_batch(make(name, count, value)).await.unwrap().into_inner();
        assert_eq!((made.blocked, made.bulk_id > 0), (waits, waits), "{name}");
    }
}

#[tokio::test]
async fn without_callers_there_is_no_second_person() {
    let node = TestNode::start(DEMO_CATALOG, |config| {
        (config.approval.changes, config.approval.money) = (2, Money::from_micros(100_000_000));
    })
    .await;
    let anyone = in_clear(node.node.grpc, None).await;
    let mut client = BulkServiceClient::new(anyone.clone());
    let why = "3 changes that move 3.00 need a second person's approval (approval.changes is 2, approval.money is 100.00), and \
               without callers nobody is told apart: name them in `caller` of [grpc], or raise the limits";
    let three = [adjust(1, "1.00"), adjust(2, "1.00"), adjust(3, "1.00")];
    refused(client.submit_bulk(submit("three", &three)).await, Code::FailedPrecondition, why);
    let two = client.submit_bulk(submit("two", &three[..2])).await.unwrap().into_inner().bulk.unwrap();
    assert_eq!((two.stage(), &*two.submitted_by), (Stage::Running, "local"));
    assert_eq!(ended(&mut client, two.bulk_id).await.executed, 2);
    let batch = v1::CreateVoucherBatchRequest {
        batch: Some(v1::VoucherBatch {
            name: "dear".into(),
            value: Some(Value::Money(cny("101.00"))),
            valid_until: 4_000_000_000,
        }),
        count: 1,
        reason: "shop".into(),
    };
    let mut balances = BalanceServiceClient::new(anyone.clone());
    let dear = v1::AdjustRequest {
        account: account(1),
        amount: Some(cny("100.01")),
        request_id: "dear".into(),
        reason: "bill".into(),
    };
    let why = "amount: an adjustment by more than 100.00 (approval.money) needs a second person's approval, and without callers \
               nobody is told apart: name them in `caller` of [grpc], or raise the limits";
    refused(balances.adjust(dear).await, Code::FailedPrecondition, why);
    let mut vouchers = VoucherServiceClient::new(anyone);
    let status = vouchers.create_voucher_batch(batch).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().starts_with("1 changes that move 101.00 need"), "{status:?}");
    assert!(
        vouchers
            .list_voucher_batches(v1::ListVoucherBatchesRequest::default())
            .await
            .unwrap()
            .into_inner()
            .batches
            .is_empty()
    );
}

/// The whole server, killed in the middle, with verbs and files.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_where_it_was() {
    // At 1,000 in a tenth of a second two seconds: many times what it takes to ask how far it is.
    const CHANGES: usize = 20_000;
    const ACCOUNTS: usize = 10;
    let (desk, directory) = (Desk::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| desk.path(name).to_str().unwrap().to_owned();
    let callers: String = ["alice", "bob"].iter().fold(String::new(), |mut text, name| {
        desk.token(name);
        let file = path(&format!("{name}.token"));
        write!(text, "[[grpc.caller]]\nname = \"{name}\"\nrole = \"care\"\ntoken_file = \"{file}\"\n").unwrap();
        text
    });
    process::configure(directory.path(), ACCOUNTS as u64, "1.00", &callers);
    let mut server = Process::start(directory.path());
    let mut url = format!("http://{}", server.serving().grpc);
    let run = |url: &str, name: &str, words: &[&str]| {
        let file = path(&format!("{name}.token"));
        let output = tollgate(&[words, &["--json", "--server", url, "--token-file", &file]].concat(), &[]);
        let told = String::from_utf8(output.stdout.clone()).unwrap();
        if output.status.success() {
            Ok(serde_json::from_str::<serde_json::Value>(&told).unwrap())
        } else {
            Err(said(&output))
        }
    };
    let file = directory.path().join("changes.csv");
    let lines: String = (0..CHANGES).fold("account,change,value\n".into(), |mut text, number| {
        writeln!(text, "account:{},adjust,0.01", number % ACCOUNTS + 1).unwrap();
        text
    });
    fs::write(&file, &lines).unwrap();
    let file = file.to_str().unwrap();
    let submit = ["bulk", "submit", file, "--reason", "bill", "--request-id", "b1", "--currency", "CNY"];
    let submitted = run(&url, "alice", &submit).unwrap();
    assert_eq!((&submitted["stage"], &submitted["changes"]), (&"pending".into(), &CHANGES.into()));
    let approve = ["bulk", "approve", "1", "--reason", "seen"];
    assert!(
        run(&url, "alice", &approve)
            .unwrap_err()
            .contains("PERMISSION_DENIED: bulk_id: bulk change 1 was submitted by")
    );
    // Pending, it survives, too.
    server.kill();
    server = Process::start(directory.path());
    url = format!("http://{}", server.serving().grpc);
    assert_eq!(run(&url, "bob", &approve).unwrap()["decided_by"], "bob");
    let get = ["bulk", "get", "1"];
    let mut kills = 0;
    let done = loop {
        let told = run(&url, "bob", &get).unwrap();
        if told["stage"] == "done" {
            break told;
        }
        if kills < 2 && told["executed"].as_u64().unwrap() > 0 {
            kills += 1;
            server.kill();
            server = Process::start(directory.path());
            url = format!("http://{}", server.serving().grpc);
        }
    };
    assert!(kills > 0, "it was too quick to be killed");
    assert_eq!((&done["executed"], &done["refused"]), (&CHANGES.into(), &0.into()));
    let again = run(&url, "alice", &submit).unwrap();
    assert_eq!((&again["bulk_id"], &again["duplicate"]), (&1.into(), &true.into()));
    for id in 1..=ACCOUNTS {
        let account = run(&url, "bob", &["account", "get", "--account", &id.to_string()]).unwrap();
        // 1.00, and 0.01 each time.
        let balance = Money::from_micros(1_000_000 + (CHANGES / ACCOUNTS) as i64 * 10_000);
        assert_eq!(account["balance"]["amount"], balance.to_string(), "account {id}");
    }
    server.terminate();
    server.ended();
    let trail = AuditTrail::look(&directory.path().join("data/audit"));
    trail.verify(None).unwrap();
    let (lines, _) =
        trail.page(&AuditFilter { method: Some("Adjust".into()), ..Default::default() }, None, 100_000).unwrap();
    let told = lines.iter().map(|line| (&*line.name, &*line.approved_by, line.bulk.clone()));
    assert!(told.eq((1..=CHANGES).map(|item| ("alice", "bob", format!("1/{item}")))));
}
