//! A CCR's way to the store. Sessions of other nodes would be forwarded from here.

use std::sync::Arc;

use super::{
    Shared, clients,
    outgoing::{Ahead, Outgoing, Refused, bound_hit},
    overload::Here,
};
use crate::{
    diameter::{
        CreditControlRequest, Frame, RequestError, ResultCode,
        credit_control::{RequestType, glance},
        error::write_error_answer,
    },
    mapping::{self, ClientTraits, FailurePolicy},
    telemetry,
    time::Timestamp,
};

/// Takes a CCR to a decision, or puts the error that answers it to what overtakes. Never waits. `traits` tells what is known of the client that
/// a request comes from; `here`, how its connection does.
pub(super) fn credit_control(
    shared: &Shared,
    frame: Frame,
    received: std::time::Instant,
    read_at: Timestamp,
    here: Here,
    traits: impl FnOnce(Option<&str>) -> ClientTraits,
    ahead: &mut Ahead,
) -> Option<Outgoing> {
    // Refused before it is read: that is what makes it cheap.
    if let Some((busy, kind)) = shared.overload.refusal(&frame, here) {
        refuse(shared, &frame, &busy, Refused { kind, result_code: busy.result_code.0, received }, ahead);
        return None;
    }
    // How it is read depends on whose it is.
    let client = traits(glance::origin_host(&frame));
    let request = match CreditControlRequest::parse_within(&frame, client.strictness, &shared.limits) {
        Ok(request) => request,
        Err(error) => {
            record_usage(shared, &frame, &error);
            let kind = telemetry::RequestKind::Untyped;
            refuse(shared, &frame, &error, Refused { kind, result_code: error.result_code.0, received }, ahead);
            return None;
        }
    };
    let client = clients::restarted(shared, request.origin_host, client, request.origin_state_id.unwrap_or(0));
    let kind = telemetry_kind(request.request_type);
    let (failure, all_conditions) = (failure_policy(shared, &request), shared.store.keeps_records());
    let client = ClientTraits { failure, all_conditions, ..client };
    match decide(shared, &request, client, read_at) {
        Ok(answered) => Some(Outgoing::Decision { request: frame, answered, client, kind, received }),
        Err(error) => {
            refuse(shared, &frame, &error, Refused { kind, result_code: error.result_code.0, received }, ahead);
            None
        }
    }
}

fn decide(
    shared: &Shared,
    request: &CreditControlRequest<'_>,
    client: ClientTraits,
    read_at: Timestamp,
) -> Result<crate::journal::Pending<crate::charging::Answered>, RequestError> {
    let local = &shared.local;
    let mut direct = true;
    for host in request.route_records() {
        direct = false;
        if host.eq_ignore_ascii_case(&local.identity.host) {
            return Err(RequestError::new(ResultCode::LOOP_DETECTED, "this node is in Route-Record"));
        }
    }
    // A direct peer is served whatever realm it names, as long as it names no other host (spec B-132, I-10).
    let any_realm = direct && client.any_realm;
    let host = request.destination_host.filter(|_| !client.any_destination);
    local.check_destination(host, Some(request.destination_realm), any_realm)?;
    let store = &shared.store;
    let in_force = store.catalog_at(read_at);
    let charge = mapping::charge(request, &in_force, client)?;
    let (key, kind, number) = (charge.key, charge.kind(), charge.number());
    let (identities, charge) = charge.split();
    Ok(store.charge_in_time(read_at, &identities, key, kind, number, |account, version| {
        let by_its_own = if Arc::ptr_eq(&version.catalog, &in_force) {
            None
        } else {
            // The session goes by another version: what that one has to know of the request is read anew.
            mapping::charge(request, &version.catalog, client).ok()
        };
        by_its_own.unwrap_or(charge).into_command(account)
    }))
}

/// What the client is told to do when it cannot reach us: in the answers that begin something.
fn failure_policy(shared: &Shared, request: &CreditControlRequest<'_>) -> FailurePolicy {
    match request.request_type {
        RequestType::Initial | RequestType::Event => {
            let catalog = shared.store.catalog();
            let context = catalog.context(request.service_context_id);
            context.map_or_else(FailurePolicy::default, |context| catalog.failure_policy(context))
        }
        RequestType::Update | RequestType::Termination => FailurePolicy::default(),
    }
}

/// A request that is wrong for good may report usage all the same: that has happened, and is not reported again (spec C-90).
#[cold]
fn record_usage(shared: &Shared, frame: &Frame, error: &RequestError) {
    if error.result_code.is_protocol_error() {
        return;
    }
    if let Some(mut report) = mapping::salvage(frame) {
        let identities = std::mem::take(&mut report.identities);
        let (key, kind, number) = (report.key, report.kind, report.number);
        // The refusal says nothing of it, so that it need not wait for it.
        drop(shared.store.charge(&identities, key, kind, number, |account| report.into_command(account)));
    }
}

/// Answers a request that cannot be served. That rests on no state, so it may leave at once.
fn refuse(shared: &Shared, frame: &Frame, error: &RequestError, refused: Refused, ahead: &mut Ahead) {
    tracing::debug!(%error, "request refused");
    if let Some(bound) = error.bound {
        bound_hit(bound.name());
    }
    let received = refused.received;
    ahead.refuse(refused, |bytes| {
        let start = bytes.len();
        if write_error_answer(bytes, frame, &shared.local.identity, error) {
            shared.overload.tell(bytes, start, received);
        }
    });
}

fn telemetry_kind(kind: RequestType) -> telemetry::RequestKind {
    telemetry::RequestKind::of_cc_request_type(kind as u32)
}
