//! A recorder between clients and the server: it passes on what it hears and remembers it, for the tools that judge.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use crate::{tools::judged_by_tshark, wire::Message};

/// Octets of one direction of one connection.
type Heard = Arc<Mutex<Vec<u8>>>;

/// Clients connect to its address as if it were the server's.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<Both>>>,
    /// Ends with the recorder.
    _passing: JoinSet<()>,
}

#[derive(Default, Clone)]
struct Both {
    client: Heard,
    server: Heard,
}

impl Recorder {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<Both>>>::default();
        let mut passing = JoinSet::new();
        passing.spawn(accept(listener, server, Arc::clone(&connections)));
        Self { address, connections, _passing: passing }
    }

    /// What clients said: connection by connection, each in order.
    pub(crate) fn said_by_clients(&self) -> Vec<Message> {
        self.split(|both| &both.client)
    }

    /// What the server said: connection by connection, each in order.
    pub(crate) fn said_by_server(&self) -> Vec<Message> {
        self.split(|both| &both.server)
    }

    /// Lets tshark judge all that the server said.
    pub(crate) fn judged(&self) {
        judged_by_tshark(&self.said_by_server());
    }

    fn split(&self, side: impl Fn(&Both) -> &Heard) -> Vec<Message> {
        let connections = self.connections.lock().unwrap();
        connections.iter().flat_map(|both| messages(&side(both).lock().unwrap())).collect()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, connections: Arc<Mutex<Vec<Both>>>) {
    let mut passing = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let both = Both::default();
        connections.lock().unwrap().push(both.clone());
        passing.spawn(async move {
            // A server that is gone is a closed connection to the client.
            let Ok(server) = TcpStream::connect(server).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let up = pass(from_client, to_server, both.client);
            let down = pass(from_server, to_client, both.server);
            // What ends one way is told to the other side by `pass`; the other way ends by itself.
            let _ = tokio::join!(up, down);
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, heard: Heard) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            return to.shutdown().await;
        }
        heard.lock().unwrap().extend(&buffer[..count]);
        to.write_all(&buffer[..count]).await?;
    }
}

/// The messages of a stream; half a message at its end fails the test.
fn messages(mut stream: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let length = u32::from_be_bytes([0, stream[1], stream[2], stream[3]]) as usize;
        assert!(length >= 20 && length <= stream.len(), "a stream ends within a message");
        found.push(Message(stream[..length].to_vec()));
        stream = &stream[length..];
    }
    found
}
