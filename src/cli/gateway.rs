//! A simulated gateway: a Diameter client that asks one thing at a time. For the demo and for tests; load is made by `load`.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::diameter::{
    CreditControlRequest, Frame, Identity, LocalNode, ResultCode,
    base::{BaseMessage, DisconnectCause, write_dpr, write_dwa},
    capabilities::{Capabilities, write_cer},
    credit_control::{RequestType, SubscriptionId},
    dictionary::command,
    frame::MESSAGE_MAX_DEFAULT,
    reauth::{SessionAnswer, SessionRequest},
    split,
};

/// How long an answer may take before the gateway gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection to an OCS.
pub struct Gateway {
    stream: TcpStream,
    buffer: BytesMut,
    identity: Identity,
    node: LocalNode,
    /// The OCS, as its CEA names it.
    pub peer: Capabilities,
    ids: u32,
    sessions: u32,
    /// RARs that came while something else was waited for.
    reauthorisations: VecDeque<Frame>,
}

impl Gateway {
    /// Connects and exchanges capabilities.
    ///
    /// # Errors
    /// The OCS is not there, or does not want this gateway.
    pub async fn connect(address: SocketAddr, host: &str, realm: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let identity = Identity { host: host.into(), realm: realm.into() };
        let node = LocalNode::credit_control(identity.clone(), vec![stream.local_addr()?.ip()]);
        let mut gateway = Self {
            stream,
            buffer: BytesMut::new(),
            identity,
            node,
            peer: Capabilities::default(),
            ids: 0,
            sessions: 0,
            reauthorisations: VecDeque::new(),
        };
        let id = gateway.next_id();
        let mut cer = Vec::new();
        write_cer(&mut cer, &gateway.node, id, id);
        gateway.send(&cer).await?;
        let cea = gateway.receive().await?;
        let capabilities = Capabilities::parse(&cea)?;
        let accepted = capabilities.result_code.is_some_and(ResultCode::is_success);
        ensure!(accepted, "the OCS refused the connection: {:?}", capabilities.result_code);
        gateway.peer = capabilities;
        Ok(gateway)
    }

    /// This gateway's own name.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A Session-Id that no other session of this gateway has.
    pub fn new_session(&mut self) -> String {
        self.sessions += 1;
        format!("{};{};{}", self.identity.host, self.local_port(), self.sessions)
    }

    fn local_port(&self) -> u16 {
        self.stream.local_addr().map_or(0, |address| address.port())
    }

    fn next_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    /// A request of a session with the usual header fields; units are yet to be set.
    pub fn request<'a>(
        &self,
        session: &'a str,
        identity: &'a Identity,
        kind: RequestType,
        number: u32,
        context: &'a str,
        msisdn: &'a str,
    ) -> CreditControlRequest<'a> {
        let mut request = CreditControlRequest::new(session.as_bytes(), identity, &identity.realm, kind);
        request.request_number = number;
        request.service_context_id = context;
        request.subscription_ids = vec![SubscriptionId { kind: 0, data: msisdn }];
        request
    }

    /// Sends a request and waits for its answer. Answers watchdogs meanwhile, and keeps RARs.
    ///
    /// # Errors
    /// No answer in time, or the connection is gone.
    pub async fn ask(&mut self, request: &mut CreditControlRequest<'_>) -> anyhow::Result<Frame> {
        let id = self.next_id();
        request.hop_by_hop = id;
        if !request.retransmitted {
            request.end_to_end = id;
        }
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.exchange(&bytes, id).await
    }

    /// Sends octets as they are and waits for the answer with this hop-by-hop id.
    ///
    /// # Errors
    /// No answer in time, or the connection is gone.
    pub async fn exchange(&mut self, bytes: &[u8], hop_by_hop: u32) -> anyhow::Result<Frame> {
        self.send(bytes).await?;
        loop {
            let frame = self.receive().await?;
            let header = frame.header();
            if header.flags.is_request() {
                self.handle_request(frame).await?;
            } else if header.hop_by_hop == hop_by_hop {
                return Ok(frame);
            }
        }
    }

    /// Waits for an RAR, answers it with a result, and returns its Session-Id.
    ///
    /// # Errors
    /// None came in time.
    pub async fn reauthorised(&mut self, result: ResultCode) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.reauthorisations.pop_front() {
                let session = SessionRequest::parse(&frame)?.session_id.to_vec();
                let mut answer = Vec::new();
                SessionAnswer::write(&mut answer, &frame, &self.identity, result);
                self.send(&answer).await?;
                return Ok(session);
            }
            let frame = self.receive().await.context("waiting for a Re-Auth-Request")?;
            if frame.header().flags.is_request() {
                self.handle_request(frame).await?;
            }
        }
    }

    /// Disconnects in order.
    ///
    /// # Errors
    /// The OCS did not answer.
    pub async fn disconnect(mut self) -> anyhow::Result<()> {
        let id = self.next_id();
        let mut dpr = Vec::new();
        write_dpr(&mut dpr, &self.node, DisconnectCause::Rebooting, id, id);
        let dpa = self.exchange(&dpr, id).await?;
        let result = BaseMessage::parse(&dpa)?.result_code;
        ensure!(result == Some(ResultCode::SUCCESS), "DPA says {result:?}");
        Ok(())
    }

    async fn handle_request(&mut self, frame: Frame) -> anyhow::Result<()> {
        match frame.header().command {
            command::DEVICE_WATCHDOG => {
                let mut dwa = Vec::new();
                write_dwa(&mut dwa, &self.node, &frame.header());
                self.send(&dwa).await
            }
            command::RE_AUTH => {
                self.reauthorisations.push_back(frame);
                Ok(())
            }
            command::DISCONNECT_PEER => bail!("the OCS disconnects"),
            other => bail!("the OCS sent a request with command {other}"),
        }
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Waits for the next message, whatever it is.
    ///
    /// # Errors
    /// None came in time, or the connection is gone.
    pub async fn receive(&mut self) -> anyhow::Result<Frame> {
        let read = async {
            loop {
                if let Some(frame) = split(&mut self.buffer, MESSAGE_MAX_DEFAULT)? {
                    return Ok(frame);
                }
                ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the OCS closed the connection");
            }
        };
        tokio::time::timeout(PATIENCE, read).await.context("no answer")?
    }
}
