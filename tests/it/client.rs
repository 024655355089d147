//! A connection to the server as a client has it: octets out, messages in.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::wire::{Message, PROXIABLE, RETRANSMITTED, Request, avp, avp_of, code, number, text};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the server. What comes is kept in order, for tshark to judge.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    pub(crate) received: Vec<Message>,
    ids: u32,
}

/// A CER of a credit-control client.
pub(crate) fn cer(host: &str, realm: &str) -> Request {
    let avps = vec![
        text(code::ORIGIN_HOST, host),
        text(code::ORIGIN_REALM, realm),
        avp(code::HOST_IP_ADDRESS, &[0, 1, 127, 0, 0, 1]),
        number(code::VENDOR_ID, 0),
        avp_of(code::PRODUCT_NAME, 0, None, b"raw client"),
        number(code::AUTH_APPLICATION_ID, 4),
    ];
    Request::new(257, 0, avps).numbered(0xce)
}

pub(crate) fn dwr(host: &str, id: u32) -> Request {
    let avps = vec![text(code::ORIGIN_HOST, host), text(code::ORIGIN_REALM, "gateways.example")];
    Request::new(280, 0, avps).numbered(id)
}

impl Client {
    /// Only TCP.
    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// TCP and a successful capabilities exchange.
    pub(crate) async fn open(address: SocketAddr, host: &str) -> Self {
        let mut client = Self::tcp(address).await;
        let cea = client.ask(&cer(host, "gateways.example")).await;
        assert_eq!((cea.result(), cea.is_error()), (2001, false));
        client
    }

    /// Reads and writes apart from each other.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over a stream that is there.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), received: Vec::new(), ids: 0x1000 }
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// The same where the server may have closed already: whether it took them.
    pub(crate) async fn try_send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).await.is_ok()
    }

    /// The next message, or `None`: the server has closed. Half a message before the end fails the test.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("neither a message nor the end came in time")
    }

    async fn read(&mut self) -> Option<Message> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<4>() {
                let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
                assert!(head[0] == 1 && length >= 20 && length.is_multiple_of(4), "no Diameter: {head:02x?}");
                if self.buffer.len() >= length {
                    let message = Message(self.buffer.drain(..length).collect());
                    self.received.push(message.clone());
                    return Some(message);
                }
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => {
                    assert!(self.buffer.is_empty(), "the server closed within a message");
                    return None;
                }
                Ok(_) => {}
                // Octets that the server did not read any more turn its close into a reset.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) async fn receive(&mut self) -> Message {
        self.next().await.expect("the server closed the connection")
    }

    /// Sends a request as it is and returns its answer, which must be the next thing that comes.
    pub(crate) async fn ask(&mut self, request: &Request) -> Message {
        self.ask_octets(&request.octets()).await
    }

    /// The same for octets; everything that an answer must repeat of its request is checked (spec B-80, B-81).
    pub(crate) async fn ask_octets(&mut self, octets: &[u8]) -> Message {
        self.send(octets).await;
        let answer = self.receive().await;
        expect_answer(&Message(octets.to_vec()), &answer);
        answer
    }

    /// Sends a request under identifiers of its own.
    pub(crate) async fn ask_new(&mut self, request: Request) -> Message {
        self.ids += 1;
        self.ask(&request.numbered(self.ids)).await
    }

    /// The connection is served: a watchdog request is answered, and nothing else comes before.
    pub(crate) async fn is_served(&mut self) {
        let dwa = self.ask_new(dwr("watcher.example", 0)).await;
        assert_eq!((dwa.command(), dwa.result()), (280, 2001));
    }

    /// The server closes, and says nothing more.
    pub(crate) async fn is_closed(&mut self) {
        let more = self.next().await;
        assert!(more.is_none(), "{more:?}");
    }

    /// Nothing more will be sent: the server sees the end of the stream.
    pub(crate) async fn end(&mut self) {
        if let Err(error) = self.stream.shutdown().await {
            // The server was quicker.
            assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
        }
    }
}

/// What every answer has of its request (spec B-80, B-81, B-82).
pub(crate) fn expect_answer(request: &Message, answer: &Message) {
    assert!(!answer.is_request() && answer.flags() & RETRANSMITTED == 0, "{answer:?}");
    assert_eq!(answer.flags() & PROXIABLE, request.flags() & PROXIABLE);
    let of = |message: &Message| (message.command(), message.application(), message.hop_by_hop(), message.end_to_end());
    assert_eq!(of(answer), of(request));
    let result = answer.result();
    assert!(result / 1000 != 3 || answer.is_error(), "{result} has E set (spec B-82)");
    assert!(!matches!(result / 1000, 2 | 4) || !answer.is_error(), "{result} has E clear (spec B-83)");
    assert!(answer.text(code::ORIGIN_HOST).is_some() && answer.text(code::ORIGIN_REALM).is_some());
    for foreign in [code::DESTINATION_HOST, code::DESTINATION_REALM, code::ROUTE_RECORD] {
        assert!(!answer.has(foreign), "an answer has no AVP {foreign}");
    }
}
