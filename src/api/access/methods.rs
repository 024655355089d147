//! Which call is for whom. A new call needs a line here: without one a test fails, and the call is refused.

use super::Role;
use For::{Anyone, Looking, Roles};
use Role::{Auditor, Care, Operator, Provisioning, SelfService};

/// Whom a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Everyone, known or not: what tells nothing of subscribers, and must be told to probes.
    Anyone,
    /// Every caller, and everyone where the configuration says so: what the API looks like.
    Looking,
    /// Callers that have one of these roles.
    Roles(&'static [Role]),
}

/// Everyone who may see what there is.
const ALL: For = Roles(&[SelfService, Provisioning, Care, Operator, Auditor]);
/// Whoever looks at one account, or tells its owner about it.
const READ_ACCOUNT: For = Roles(&[SelfService, Care, Operator, Auditor]);
/// What only those see who look at more than one account.
const READ: For = Roles(&[Care, Operator, Auditor]);
/// What subscribers do for themselves, and others for them.
const SELL: For = Roles(&[SelfService, Provisioning, Care, Operator]);
/// Who changes many accounts at a time, and who sees that.
const MANY: For = Roles(&[Provisioning, Care, Operator]);
const SEE_MANY: For = Roles(&[Provisioning, Care, Operator, Auditor]);
/// What runs the system.
const OPERATE: For = Roles(&[Operator]);

/// Every method that is served.
pub(super) const METHODS: &[(&str, For)] = &[
    ("tollgate.v1.AccountService/CreateAccount", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/CreateSubscriber", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/GetAccount", ALL),
    ("tollgate.v1.AccountService/SetAccountState", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/SetPlan", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/SetCreditLimit", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/SetNeverStop", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/ExtendValidity", Roles(&[Care, Operator])),
    ("tollgate.v1.AccountService/ListAccounts", READ),
    ("tollgate.v1.AccountService/SetMember", Roles(&[Provisioning, Care, Operator])),
    ("tollgate.v1.AccountService/RemoveMember", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/RemoveSubscriber", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.AccountService/ListMembers", ALL),
    //
    ("tollgate.v1.BalanceService/TopUp", Roles(&[SelfService, Operator])),
    ("tollgate.v1.BalanceService/GrantAllowance", Roles(&[Provisioning, Care, Operator])),
    ("tollgate.v1.BalanceService/Adjust", Roles(&[Care, Operator])),
    ("tollgate.v1.BalanceService/Transfer", Roles(&[Care, Operator])),
    ("tollgate.v1.BalanceService/ListHistory", READ_ACCOUNT),
    ("tollgate.v1.BalanceService/ExplainCharges", READ),
    //
    ("tollgate.v1.CatalogService/ValidateCatalog", OPERATE),
    ("tollgate.v1.CatalogService/PublishCatalog", OPERATE),
    ("tollgate.v1.CatalogService/WithdrawCatalog", OPERATE),
    ("tollgate.v1.CatalogService/ListCatalogs", READ),
    ("tollgate.v1.CatalogService/GetCatalog", READ),
    ("tollgate.v1.CatalogService/DiffCatalog", READ),
    ("tollgate.v1.CatalogService/Price", ALL),
    ("tollgate.v1.CatalogService/WhatIf", OPERATE),
    //
    ("tollgate.v1.ProductService/ListProducts", ALL),
    ("tollgate.v1.ProductService/BuyProduct", SELL),
    ("tollgate.v1.ProductService/ChangeProduct", SELL),
    ("tollgate.v1.ProductService/CancelProduct", SELL),
    ("tollgate.v1.ProductService/ListSubscriptions", ALL),
    ("tollgate.v1.ProductService/SetCycleDay", Roles(&[Provisioning, Operator])),
    //
    ("tollgate.v1.RecordService/ListRecords", READ),
    ("tollgate.v1.RecordService/ReconcileRecords", Roles(&[Operator, Auditor])),
    ("tollgate.v1.AuditService/ListAudit", Roles(&[Operator, Auditor])),
    ("tollgate.v1.AuditService/GetAuditHead", Roles(&[Operator, Auditor])),
    //
    // What is in it must be for the caller by itself, too.
    ("tollgate.v1.BulkService/SubmitBulk", MANY),
    ("tollgate.v1.BulkService/ApproveBulk", MANY),
    ("tollgate.v1.BulkService/RejectBulk", MANY),
    ("tollgate.v1.BulkService/GetBulk", SEE_MANY),
    ("tollgate.v1.BulkService/ListBulks", SEE_MANY),
    //
    ("tollgate.v1.VoucherService/CreateVoucherBatch", OPERATE),
    ("tollgate.v1.VoucherService/BlockVoucherBatch", OPERATE),
    ("tollgate.v1.VoucherService/RedeemVoucher", Roles(&[SelfService, Care, Operator])),
    ("tollgate.v1.VoucherService/ListVoucherBatches", READ),
    ("tollgate.v1.VoucherService/GetVoucher", READ),
    //
    ("tollgate.v1.SessionService/ListSessions", READ),
    ("tollgate.v1.SessionService/ReAuthorise", OPERATE),
    ("tollgate.v1.SessionService/TerminateSession", OPERATE),
    //
    ("tollgate.v1.EventService/Subscribe", Roles(&[Provisioning, Operator, Auditor])),
    ("tollgate.v1.EventService/Acknowledge", Roles(&[Provisioning, Operator])),
    ("tollgate.v1.EventService/ForgetConsumer", Roles(&[Provisioning, Operator])),
    //
    ("grpc.health.v1.Health/Check", Anyone),
    ("grpc.health.v1.Health/Watch", Anyone),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Looking),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Looking),
];

/// The method that a request's path names, and whom it is for.
pub(super) fn of(path: &str) -> Option<(&'static str, For)> {
    let name = path.strip_prefix('/')?;
    METHODS.iter().find(|(known, _)| *known == name).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Every `package.Service/Method` of what reflection tells, but for the service whose client this node is.
    fn served() -> BTreeSet<String> {
        let own: &[u8] = crate::api::server::DESCRIPTORS;
        let sets = [
            own,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let files = sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file);
        let methods = files.flat_map(|file| {
            let package = file.package().to_owned();
            let methods = file.service.into_iter().flat_map(|service| {
                let service_name = service.name().to_owned();
                service.method.into_iter().map(move |method| format!("{service_name}/{}", method.name()))
            });
            methods.map(move |method| format!("{package}.{method}")).collect::<Vec<_>>()
        });
        methods.filter(|method| !method.starts_with("tollgate.v1.ProvisioningSink/")).collect()
    }

    #[test]
    fn every_method_has_a_line_and_every_line_a_method() {
        let listed: BTreeSet<String> = METHODS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(listed.len(), METHODS.len(), "a method is listed twice");
        assert_eq!(listed, served(), "add what is new to METHODS, and take out what is gone");
    }

    #[test]
    fn the_operator_may_do_everything_and_nothing_is_for_nobody() {
        for (name, whom) in METHODS {
            if let Roles(roles) = whom {
                assert!(roles.contains(&Operator), "{name}");
            }
        }
    }

    #[test]
    fn a_method_is_found_by_its_whole_path_only() {
        assert!(of("/tollgate.v1.BalanceService/Adjust").is_some());
        for path in [
            "tollgate.v1.BalanceService/Adjust",
            "//tollgate.v1.BalanceService/Adjust",
            "/tollgate.v1.BalanceService/adjust",
            "/tollgate.v1.BalanceService/Adjust/",
            "/tollgate.v1.BalanceService/%41djust",
            "/tollgate.v1.BalanceService/",
            "/tollgate.v1.ProvisioningSink/Deliver",
            "/",
            "",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
