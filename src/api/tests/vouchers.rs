//! `VoucherService`.

use super::*;

fn redeem(account: u64, code: &str, request_id: &str) -> v1::RedeemVoucherRequest {
    v1::RedeemVoucherRequest { account: Some(by_id(account)), code: code.into(), request_id: request_id.into() }
}

#[tokio::test]
async fn a_request_id_stands_for_one_code_and_guesses_are_few() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    node.create(2, "1").await;
    let mut vouchers = v1::voucher_service_client::VoucherServiceClient::new(node.channel().await);
    let batch = v1::CreateVoucherBatchRequest {
        batch: Some(v1::VoucherBatch {
            name: "christmas".into(),
            value: Some(v1::voucher_batch::Value::Money(cny("5.00"))),
            valid_until: 4_000_000_000,
        }),
        count: 10,
        reason: "shop".into(),
    };
    let made = vouchers.create_voucher_batch(batch.clone()).await.unwrap().into_inner();
    refused(vouchers.create_voucher_batch(batch).await, Code::AlreadyExists, "there is a batch `christmas` already");
    let block = v1::BlockVoucherBatchRequest { name: "easter".into(), blocked: true, reason: "lost".into() };
    refused(vouchers.block_voucher_batch(block).await, Code::NotFound, "there is no batch `easter`");

    for duplicate in [false, true] {
        let done = vouchers.redeem_voucher(redeem(1, &made.codes[0], "r1")).await.unwrap().into_inner();
        assert_eq!((done.balance, done.duplicate), (Some(cny("6.00")), duplicate));
    }
    let other = vouchers.redeem_voucher(redeem(1, &made.codes[1], "r1")).await;
    refused(other, Code::AlreadyExists, "request id `r1` was used before for something else");
    let account = node.accounts().await.get_account(v1::GetAccountRequest { account: Some(by_id(1)) }).await;
    assert_eq!(account.unwrap().into_inner().account.unwrap().balance, Some(cny("6.00")));

    // Many at once, and right ones between them: five wrong ones are told to be that.
    let wrong = crate::ids::VoucherCode::new(4).written();
    let tries = (0..12).map(|number| {
        let (mut vouchers, wrong) = (vouchers.clone(), wrong.clone());
        tokio::spawn(async move { vouchers.redeem_voucher(redeem(2, &wrong, &format!("w{number}"))).await })
    });
    let mut told = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        told.push(one.await.unwrap().unwrap_err().code());
    }
    told.sort_unstable_by_key(|code| *code as i32);
    assert_eq!(told, [vec![Code::NotFound; 5], vec![Code::ResourceExhausted; 7]].concat());
    let late = vouchers.redeem_voucher(redeem(2, &made.codes[2], "r2")).await;
    refused(late, Code::ResourceExhausted, "too many codes that do not exist: try again in 3");
    // Who is right is not counted, however often.
    for number in 3..10 {
        vouchers.redeem_voucher(redeem(1, &made.codes[number], &format!("r{number}"))).await.unwrap();
    }
    node.stop().await;
}
