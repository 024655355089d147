//! Vouchers: written by hand like the rest, read from the generated messages.

use std::sync::Arc;

use super::{RecordError, proto, writer::Writer};
use crate::{
    charging::{KnownBatch, Redeemer, Voucher, VoucherBatch, VoucherMark, VoucherValue},
    ids::{AccountId, VoucherKey},
    time::Timestamp,
    units::Money,
};

pub(super) fn created(w: &mut Writer<'_>, new: &VoucherBatch, blocked: bool, vouchers: &[(u32, VoucherKey)]) {
    w.message(1, |w| batch(w, new, blocked));
    for (no, key) in vouchers {
        w.message(2, |w| {
            w.uint(1, *no);
            w.fixed64(2, key.0);
            w.fixed64(3, key.1);
        });
    }
}

/// The batch, whether it is blocked, numbers and keys.
type Created = (Box<VoucherBatch>, bool, Vec<(u32, VoucherKey)>);

pub(super) fn read_created(wire: proto::VouchersCreated) -> Result<Created, RecordError> {
    let (batch, blocked) = read_batch(wire.batch.ok_or(RecordError::Missing("batch of vouchers"))?);
    let vouchers = wire.vouchers.iter().map(|wire| (wire.no, VoucherKey(wire.high, wire.low))).collect();
    Ok((Box::new(batch), blocked, vouchers))
}

pub(super) fn marked(w: &mut Writer<'_>, key: VoucherKey, mark: &VoucherMark) {
    w.fixed64(1, key.0);
    w.fixed64(2, key.1);
    write_mark(w, 3, mark);
}

pub(super) fn read_marked(wire: proto::VoucherMarked) -> (VoucherKey, VoucherMark) {
    (VoucherKey(wire.high, wire.low), read_mark(wire.by, wire.redeemed))
}

pub(in crate::journal) fn known_batch(w: &mut Writer<'_>, known: &KnownBatch) {
    batch(w, &known.batch, known.blocked);
}

/// A batch, and whether it is blocked.
pub(in crate::journal) fn read_batch(wire: proto::VoucherBatch) -> (VoucherBatch, bool) {
    let value = match wire.allowance {
        Some(allowance) => VoucherValue::Allowance(allowance.into()),
        None => VoucherValue::Money(Money::from_micros(wire.amount)),
    };
    let valid_until = Timestamp::from_millis(wire.valid_until_ms);
    (VoucherBatch { name: wire.name.into(), value, valid_until }, wire.blocked)
}

fn batch(w: &mut Writer<'_>, batch: &VoucherBatch, blocked: bool) {
    w.bytes(1, batch.name.as_bytes());
    match &batch.value {
        VoucherValue::Money(amount) => w.sint(2, amount.micros()),
        VoucherValue::Allowance(name) => w.present(3, name.as_bytes()),
    }
    w.uint(4, batch.valid_until.millis());
    w.bool(5, blocked);
}

pub(in crate::journal) fn voucher(w: &mut Writer<'_>, (key, voucher): (&VoucherKey, &Voucher)) {
    w.uint(1, voucher.no);
    w.fixed64(2, key.0);
    w.fixed64(3, key.1);
    w.bytes(4, voucher.batch.as_bytes());
    write_mark(w, 5, &voucher.mark);
}

/// Key, number, name of the batch, mark.
pub(in crate::journal) fn read_voucher(wire: proto::Voucher) -> (VoucherKey, u32, Arc<str>, VoucherMark) {
    (VoucherKey(wire.high, wire.low), wire.no, wire.batch.into(), read_mark(wire.by, wire.redeemed))
}

/// Two fields: who, and whether it is done.
fn write_mark(w: &mut Writer<'_>, field: u32, mark: &VoucherMark) {
    let (by, redeemed) = match mark {
        VoucherMark::Open => return,
        VoucherMark::OnTheWay(by) => (by, false),
        VoucherMark::Redeemed(by) => (by, true),
    };
    w.message(field, |w| {
        w.uint(1, by.account.0);
        w.bytes(2, by.request_id.as_bytes());
        w.uint(3, by.at.millis());
    });
    w.bool(field + 1, redeemed);
}

fn read_mark(by: Option<proto::Redeemer>, redeemed: bool) -> VoucherMark {
    let Some(by) = by else { return VoucherMark::Open };
    let at = Timestamp::from_millis(by.at_ms);
    let by = Box::new(Redeemer { account: AccountId(by.account), request_id: by.request_id.into(), at });
    if redeemed { VoucherMark::Redeemed(by) } else { VoucherMark::OnTheWay(by) }
}
