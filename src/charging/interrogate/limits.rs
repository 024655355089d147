//! Limits on account of which something is refused.

use super::Interrogator;
use crate::charging::{LimitStep, Notice, NoticeKind, rate::Rate};

impl<'a> Interrogator<'a> {
    /// Notes the limits that leave no room for so many units, though nobody holds a part of them that may come back.
    pub(super) fn note_reached(&mut self, rate: &Rate<'a>, units: u64) {
        let Ok(cost) = rate.dearest_share(units) else { return };
        for meter in rate.counted.limits.iter().filter(|meter| meter.cuts) {
            let (used, reserved) = self.ledger.counted(meter.place);
            let is_reached = reserved == 0 && meter.amount.saturating_sub(used) < cost.micros();
            let counter = self.ledger.counter_at(meter.place);
            if is_reached && !counter.refused && used > 0 && !self.reached.contains(&meter.place) {
                self.reached.push(meter.place);
            }
        }
    }

    /// Whole blocks may keep usage just below a limit for ever: it is reached when it refuses.
    pub(super) fn tell_reached(&self, notices: &mut Vec<Notice>) {
        for place in &self.reached {
            let counter = self.ledger.counter_at(*place);
            let kind = NoticeKind::Limit {
                name: counter.name.clone(),
                percent: 100,
                member: counter.member,
                step: LimitStep::Reached,
            };
            let limit = self.catalog.limits().iter().find(|limit| limit.name == counter.name);
            let told = limit.is_none_or(|limit| self.ledger.counted(*place).0 >= limit.amount.micros());
            if !told {
                notices.push(Notice { account: self.account.id, at: self.now, balance: self.ledger.balance(), kind });
            }
        }
    }
}
