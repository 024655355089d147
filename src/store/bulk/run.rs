//! Executes the changes of bulk changes, in their order, a few at a time.

use std::sync::{Arc, PoisonError};

use crate::{
    charging::{
        Bulk, BulkStage, Change, Command, CreditCommand, CreditKind, Manage, ManageCommand, MemberNo, Person,
        PlannedChange,
    },
    ids::PartitionId,
    journal::Disk,
    store::{
        Store,
        audited::{About, Audited, By, Tick},
        partition::Partition,
    },
};

impl<D: Disk> Store<D> {
    /// Executes the next changes of the first bulk change that is to be executed, at most `at_once`. To be called again and
    /// again. Returns how many that were.
    pub fn run_bulks(&self, at_once: usize) -> usize {
        let _alone = self.desk.executing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bulk) = self.next_to_execute() else { return 0 };
        let approver = bulk.approver();
        let from = bulk.executed as usize;
        let next = (bulk.executed.saturating_add(1)..).zip(bulk.changes.iter().skip(from)).take(at_once);
        let mut executed = 0;
        for (item, planned) in next {
            let Person { name, role, address } = &bulk.by;
            let by = By { name, role, address, method: method_of(&planned.change), reason: &bulk.reason };
            self.by(by).ticking(Tick { bulk: bulk.id, item, approver }).execute_planned(planned);
            executed += 1;
        }
        executed
    }

    /// Without its refusals, which may be many.
    fn next_to_execute(&self) -> Option<Bulk> {
        let table = self.desk.table();
        let bulk = table.bulks.iter().find(|bulk| bulk.stage == BulkStage::Running)?;
        let changes = Arc::clone(&bulk.changes);
        Some(Bulk {
            request_id: bulk.request_id.clone(),
            reason: bulk.reason.clone(),
            by: bulk.by.clone(),
            decision: bulk.decision.clone(),
            refusals: Vec::new(),
            changes,
            ..*bulk
        })
    }
}

impl<D: Disk> Audited<'_, D> {
    /// Executes one change of a bulk change. What becomes of it is in the table.
    fn execute_planned(&self, planned: &PlannedChange) {
        let account = planned.account;
        let request_id = self.tick.map_or_else(String::new, |tick| item_request_id(tick.bulk, tick.item));
        let (request_id, reason) = (request_id.as_str(), self.by.reason);
        let currency = Some(self.store.catalog().currency());
        let credit = |kind, currency| Command::Credit(CreditCommand { account, kind, currency, request_id });
        let manage = |what| Command::Manage(ManageCommand { account, request_id, reason, what });
        let command = match &planned.change {
            Change::Adjust(amount) => credit(CreditKind::Adjustment(*amount, reason), currency),
            Change::TopUp(amount) => credit(CreditKind::TopUp(*amount), currency),
            Change::GrantAllowance(name) => credit(CreditKind::Allowance(name), None),
            Change::SetPlan(plan) => manage(Manage::SetPlan(Some(&**plan).filter(|plan| !plan.is_empty()))),
            Change::Buy(product, start) => manage(Manage::Buy { product, member: MemberNo::SHARED, start: *start }),
            Change::Cancel(subscription, when) => {
                manage(Manage::CancelProduct { subscription: *subscription, when: *when })
            }
            Change::SetState(state) => Command::SetState { account, state: *state, reason },
            Change::UnblockVouchers(batch) => return self.unblock_planned(batch),
        };
        drop(self.account_command(account, &command));
    }

    /// The last partition's record has the tick: before it is durable, all of them are done again.
    fn unblock_planned(&self, batch: &str) {
        let last = self.store.partition_ids().last();
        let about = About::Vouchers(batch);
        let execute = |cell: &mut Partition, partition: PartitionId, command: &Command<'_>| {
            if Some(partition) == last {
                self.execute(cell, partition, command, &about)
            } else {
                self.store.execute(cell, partition, command)
            }
        };
        drop(self.store.block_vouchers_by(batch, false, execute));
    }
}

/// The request id of a change. No caller's id has a control character, so none is ever the same.
fn item_request_id(bulk: u64, item: u32) -> String {
    format!("\u{1}bulk {bulk} {item}")
}

/// The single call that does the same.
pub fn method_of(change: &Change) -> &'static str {
    match change {
        Change::Adjust(_) => "Adjust",
        Change::TopUp(_) => "TopUp",
        Change::GrantAllowance(_) => "GrantAllowance",
        Change::SetPlan(_) => "SetPlan",
        Change::Buy(..) => "BuyProduct",
        Change::Cancel(..) => "CancelProduct",
        Change::SetState(_) => "SetAccountState",
        Change::UnblockVouchers(_) => "BlockVoucherBatch",
    }
}
