//! The gRPC server: all services, reflection, health, bounds and an end in order.

use std::{future::Future, time::Duration};

use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tonic::{service::Routes, transport::Server};
use tonic_reflection::server::Builder;

use super::{
    Api,
    access::{self, Access},
    v1::{
        account_service_server::AccountServiceServer, audit_service_server::AuditServiceServer,
        balance_service_server::BalanceServiceServer, bulk_service_server::BulkServiceServer,
        catalog_service_server::CatalogServiceServer, event_service_server::EventServiceServer,
        product_service_server::ProductServiceServer, record_service_server::RecordServiceServer,
        session_service_server::SessionServiceServer, voucher_service_server::VoucherServiceServer,
    },
};
use crate::rating::CATALOG_OCTETS_MAX;

/// The services' descriptors, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tollgate_descriptor.bin"));

/// Calls of one connection that are worked on at a time, open subscriptions included.
const CONNECTION_CALLS_MAX: u32 = 256;
/// Octets of a request's headers.
const HEADERS_OCTETS_MAX: u32 = 16 << 10;
/// Octets of a request; that with a catalog may have more.
const REQUEST_OCTETS_MAX: usize = 64 << 10;
/// Octets of a bulk change with as many changes as may be: 80 each.
const BULK_OCTETS_MAX: usize = 8 << 20;
/// A connection that is silent is asked whether it lives after this time, and closed when it says nothing.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long calls may take to end at shutdown. Streams end at once; this is for clients that do not read.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why the API does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("gRPC: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors cannot be read.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves those whom `access` lets in, until `shutdown` resolves: then new calls are refused, streams end, and calls under way have a few seconds.
///
/// # Errors
/// The server could not be started, or its listener failed.
pub async fn serve(
    listener: TcpListener,
    access: Access,
    api: Api,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    api.report_health(&reporter).await;
    let routes = routes(&api)?.add_service(health).into_axum_router();
    // The last layer is the first that a call meets, also one that no service is for.
    let routes = routes.layer(from_fn_with_state(access.clone(), access::guard));
    let server = Server::builder()
        .max_concurrent_streams(CONNECTION_CALLS_MAX)
        .http2_max_header_list_size(HEADERS_OCTETS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_routes(routes.into());
    let closing = api.closing.clone();
    let incoming = access::connections(listener, access);
    let serving = server.serve_with_incoming_shutdown(incoming, closing.clone().cancelled_owned());
    let following = api.follow_health(reporter);
    let deadline = async {
        shutdown.await;
        closing.cancel();
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    let serving = async {
        let result = serving.await;
        closing.cancel();
        result
    };
    // Health is followed until the end: a watch that stayed open would hold the server up.
    let serving = async { tokio::join!(serving, following).0 };
    tokio::select! {
        result = serving => result.map_err(ServeError::from),
        () = deadline => {
            tracing::warn!("some gRPC calls did not end in time and are cut off");
            Ok(())
        }
    }
}

fn routes(api: &Api) -> Result<Routes, ServeError> {
    let reflection = || Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let health = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let reflection = || reflection().register_encoded_file_descriptor_set(health);
    // The text is at most this long, beside a reason, names and a few octets of framing.
    let catalog = CatalogServiceServer::new(api.clone()).max_decoding_message_size(CATALOG_OCTETS_MAX + 4_096);
    let bulk = BulkServiceServer::new(api.clone()).max_decoding_message_size(BULK_OCTETS_MAX);
    Ok(Routes::new(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(AccountServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(BalanceServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(ProductServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(catalog)
        .add_service(bulk)
        .add_service(SessionServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(EventServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(RecordServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(AuditServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX))
        .add_service(VoucherServiceServer::new(api.clone()).max_decoding_message_size(REQUEST_OCTETS_MAX)))
}
