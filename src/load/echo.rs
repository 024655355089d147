//! The ceiling beside a load: the cheapest responder whose answers are correct. It charges nothing, keeps nothing and
//! syncs nothing; it reads what an answer must repeat, and answers all that came in one read in one write.

use std::{net::SocketAddr, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    diameter::{
        Avp, Avps, CreditControlAnswer, CreditControlRequest, Flags, Frame, Header, Identity, LocalNode, ResultCode,
        credit_control::{GrantedUnits, RequestType, ServiceAnswer},
        dictionary::{command, key},
        frame::{HEADER_LEN, MESSAGE_MAX_DEFAULT},
        peer::{Action, Admission, Input, Peer, Timers},
    },
    time::{Clock, SystemClock},
    units::Units,
};

/// Room for what is read at once.
const READ_SPACE: usize = 256 * 1024;

/// Answers every connection until the task is dropped.
pub async fn serve(listener: TcpListener) {
    while let Ok((stream, from)) = listener.accept().await {
        tokio::spawn(async move {
            // A connection that breaks is the generator's to report.
            drop(answer_all(stream, from).await);
        });
    }
}

async fn answer_all(mut stream: TcpStream, from: SocketAddr) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let identity = Identity { host: "echo.tollgate.example".into(), realm: "tollgate.example".into() };
    let constant = Constant::new(&identity);
    let local = Arc::new(LocalNode::credit_control(identity, vec![stream.local_addr()?.ip()]));
    let seed = u64::from(from.port());
    let mut peer = Peer::responder(local, Admission::Anyone, Timers::default(), seed, SystemClock.now());
    let (mut inbox, mut outbox) = (BytesMut::with_capacity(READ_SPACE), Vec::with_capacity(READ_SPACE));
    loop {
        inbox.reserve(READ_SPACE / 2);
        if stream.read_buf(&mut inbox).await? == 0 {
            return Ok(());
        }
        let mut at = 0;
        loop {
            let rest = inbox.get(at..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<HEADER_LEN>().map(Header::read) else { break };
            let length = header.length as usize;
            if !(HEADER_LEN..=MESSAGE_MAX_DEFAULT).contains(&length) {
                anyhow::bail!("not Diameter");
            }
            let Some(message) = rest.get(..length) else { break };
            if header.command == command::CREDIT_CONTROL {
                constant.answer(message, &mut outbox);
            } else {
                let frame = Frame::from_bytes(Bytes::copy_from_slice(message))?;
                for action in peer.handle(Input::Message(&frame), SystemClock.now()) {
                    if let Action::Send(octets) = action {
                        outbox.extend_from_slice(&octets);
                    }
                }
            }
            at += length;
        }
        inbox.advance(at);
        stream.write_all(&outbox).await?;
        outbox.clear();
        if !peer.is_open() && peer.deadline().is_none() {
            return Ok(());
        }
    }
}

/// What all answers have in common: every AVP that does not repeat one of the request.
struct Constant {
    avps: Vec<u8>,
}

impl Constant {
    fn new(identity: &Identity) -> Self {
        let mut cca = CreditControlAnswer::new(ResultCode::SUCCESS);
        cca.services.push(ServiceAnswer {
            rating_group: Some(1),
            result_code: Some(ResultCode::SUCCESS),
            granted: Some(GrantedUnits::of(Units::octets(10_000_000))),
            validity_time: Some(3_600),
            ..Default::default()
        });
        let (mut request, mut message) = (Vec::new(), Vec::new());
        CreditControlRequest::new(b"s", identity, &identity.realm, RequestType::Update).encode(&mut request);
        if let Ok(request) = Frame::from_bytes(request.into()) {
            cca.encode(&request, identity, &mut message);
        }
        let common = Avps::new(message.get(HEADER_LEN..).unwrap_or_default()).flatten().filter(|avp| !is_repeated(avp));
        Self { avps: common.flat_map(|avp| avp.raw).copied().collect() }
    }

    /// Appends the answer to a CCR.
    #[inline]
    fn answer(&self, request: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(request.get(..HEADER_LEN).unwrap_or_default());
        let body = request.get(HEADER_LEN..).unwrap_or_default();
        let mut missing = 3;
        for avp in Avps::new(body).flatten() {
            if is_repeated(&avp) {
                out.extend_from_slice(avp.raw);
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        out.extend_from_slice(&self.avps);
        let length = (out.len() - start) as u32;
        let [_, a, b, c] = length.to_be_bytes();
        if let Some(header) = out.get_mut(start + 1..start + 5) {
            // R goes, P stays.
            header.copy_from_slice(&[a, b, c, header[3] & Flags::PROXIABLE]);
        }
    }
}

#[inline]
fn is_repeated(avp: &Avp<'_>) -> bool {
    matches!(avp.key(), key::SESSION_ID | key::CC_REQUEST_TYPE | key::CC_REQUEST_NUMBER)
}
