//! The door itself: what passes, who is told, and what a service learns of its caller.

use std::net::{IpAddr, Ipv4Addr};

use axum::{http::HeaderValue, middleware::from_fn_with_state};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, service::Routes, transport::Server};

use super::*;
use crate::api::v1::{
    self,
    event_service_client::EventServiceClient,
    event_service_server::{EventService, EventServiceServer},
};

const TOKEN: &str = "shop-shop-shop-shop-shop-shop-shop";
const TOP_UP: &str = "/tollgate.v1.BalanceService/TopUp";
const ADJUST: &str = "/tollgate.v1.BalanceService/Adjust";

/// An audit trail: a line for each refusal.
#[derive(Default)]
struct Trail(Mutex<Vec<String>>);

impl AuditSink for Trail {
    fn refused(&self, refused: &Refused<'_>) {
        let Refused { caller, address, method, reason, message } = refused;
        let caller = caller.map_or("none", |caller| &caller.name);
        self.0.lock().unwrap().push(format!("{caller} {address} {method} {reason}: {message}"));
    }
}

impl Trail {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn door(trail: &Arc<Trail>) -> Access {
    let grpc = toml::from_str(
        "[[caller]]\nname = \"shop\"\nrole = \"self-service\"\ntoken_env = \"SHOP\"\n\
         [[caller]]\nname = \"hlr\"\nrole = \"provisioning\"\ncertificate = \"hlr.example\"\n",
    );
    let trail: Arc<dyn AuditSink> = Arc::<Trail>::clone(trail);
    Access::load(&grpc.unwrap(), &[("SHOP", TOKEN)], Some(trail)).unwrap()
}

fn peer(last: u8) -> Peer {
    Peer { address: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 7), names: None }
}

fn authorization(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn a_call_comes_in_with_its_caller() {
    let (trail, peer) = (Arc::new(Trail::default()), peer(1));
    let access = door(&trail);
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        let headers = authorization(&[&format!("{scheme} {TOKEN}")]);
        let caller = access.admit(TOP_UP, &headers, &peer).unwrap().unwrap();
        assert_eq!((&*caller.name, &*caller.roles), ("shop", &[Role::SelfService][..]));
        assert_eq!(caller.address, peer.address);
    }
    assert_eq!(access.admit("/grpc.health.v1.Health/Check", &HeaderMap::new(), &peer).unwrap(), None);
    assert!(trail.take().is_empty());
}

#[test]
fn a_refusal_is_told_to_the_audit_trail_and_holds_no_secret() {
    let (trail, peer) = (Arc::new(Trail::default()), peer(1));
    let access = door(&trail);
    let right = format!("Bearer {TOKEN}");
    let odd = "UNAUTHENTICATED odd_authorization: write `authorization: Bearer TOKEN`, once";
    for (path, headers, told) in [
        (
            ADJUST,
            authorization(&[&right]),
            "PERMISSION_DENIED role: caller `shop` (self-service) may not call tollgate.v1.BalanceService/Adjust: it is for \
             care, operator",
        ),
        (ADJUST, authorization(&["Bearer shop-shop"]), "UNAUTHENTICATED wrong_token: the token is no caller's"),
        (ADJUST, authorization(&["Bearer "]), "UNAUTHENTICATED wrong_token: the token is no caller's"),
        (ADJUST, authorization(&[TOKEN]), odd),
        (ADJUST, authorization(&["Basic c2hvcDpzaG9w"]), odd),
        (ADJUST, authorization(&[""]), odd),
        (ADJUST, authorization(&[&right, &right]), odd),
        ("/x.Y/Z", authorization(&[&right]), "UNIMPLEMENTED unknown_method: there is no such method"),
        (
            "/x.Y/Z",
            HeaderMap::new(),
            "UNAUTHENTICATED no_credentials: who calls? neither a client certificate nor `authorization: Bearer TOKEN` came \
             with the call",
        ),
    ] {
        let status = access.admit(path, &headers, &peer).unwrap_err();
        let (code, rest) = told.split_once(' ').unwrap();
        let message = rest.split_once(": ").unwrap().1;
        assert_eq!((crate::api::code_name(status.code()), status.message()), (code, message));
        let who = if matches!(status.code(), Code::Unauthenticated) { "none" } else { "shop" };
        let method = if path == ADJUST { &path[1..] } else { "unknown" };
        assert_eq!(trail.take(), [format!("{who} 192.0.2.1:7 {method} {rest}")]);
    }
}

#[test]
fn the_trail_is_not_filled_by_one_address() {
    let trail = Arc::new(Trail::default());
    let access = door(&trail);
    for _ in 0..2 * refusals::TOLD_MAX {
        access.admit(ADJUST, &HeaderMap::new(), &peer(1)).unwrap_err();
    }
    assert_eq!(trail.take().len(), refusals::TOLD_MAX as usize);
    access.admit(ADJUST, &HeaderMap::new(), &peer(2)).unwrap_err();
    assert_eq!(trail.take().len(), 1);
}

#[test]
fn one_address_that_guesses_does_not_shut_out_another() {
    let access = door(&Arc::default());
    let right = authorization(&[&format!("Bearer {TOKEN}")]);
    for _ in 0..refusals::WRONG_MAX {
        let status = access.admit(TOP_UP, &authorization(&["Bearer guess"]), &peer(1)).unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    assert_eq!(access.admit(TOP_UP, &right, &peer(1)).unwrap_err().code(), Code::ResourceExhausted);
    assert!(access.admit(TOP_UP, &right, &peer(2)).unwrap().is_some());
    // Nor what is shown by certificate from the same address.
    let certified = Peer { names: Some(["hlr.example".to_owned()].into()), ..peer(1) };
    assert!(access.admit("/tollgate.v1.EventService/Subscribe", &HeaderMap::new(), &certified).unwrap().is_some());
}

#[test]
fn a_door_prints_no_secret() {
    let printed = format!("{:?}", door(&Arc::default()));
    assert!(printed.contains("shop") && !printed.contains(TOKEN), "{printed}");
}

/// A service that answers with nothing but writes down who called.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<Caller>>>);

#[tonic::async_trait]
impl EventService for Witness {
    type SubscribeStream = tokio_stream::Empty<Result<v1::SubscribeResponse, Status>>;

    async fn subscribe(&self, _: Request<v1::SubscribeRequest>) -> Result<Response<Self::SubscribeStream>, Status> {
        Err(Status::internal("nobody calls this"))
    }

    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeRequest>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        self.0.lock().unwrap().push(caller(&request)?.clone());
        Ok(Response::new(v1::AcknowledgeResponse {}))
    }

    async fn forget_consumer(
        &self,
        _: Request<v1::ForgetConsumerRequest>,
    ) -> Result<Response<v1::ForgetConsumerResponse>, Status> {
        Err(Status::internal("nobody calls this"))
    }
}

#[tokio::test]
async fn a_service_learns_who_calls_from_where() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let access = Access::load(&Grpc::default(), &[], None).unwrap();
    let witness = Witness::default();
    let routes = Routes::new(EventServiceServer::new(witness.clone())).into_axum_router();
    let routes = routes.layer(from_fn_with_state(access.clone(), guard));
    let server = Server::builder().add_routes(routes.into());
    let serving = tokio::spawn(server.serve_with_incoming(connections(listener, access)));
    let mut client = EventServiceClient::connect(format!("http://{address}")).await.unwrap();
    let request = v1::AcknowledgeRequest { consumer: "hlr".into(), ..Default::default() };
    client.acknowledge(request).await.unwrap();
    let callers = witness.0.lock().unwrap().clone();
    let [caller] = callers.as_slice() else { panic!("{callers:?}") };
    assert_eq!((&*caller.name, &*caller.roles), ("local", &[Role::Operator][..]));
    assert!(caller.address.ip().is_loopback() && caller.address != address, "{caller:?}");
    serving.abort();
    // Without the door there is nobody.
    assert_eq!(super::caller(&Request::new(())).unwrap_err().code(), Code::Internal);
}
