//! A server to be measured: this binary in a process of its own, on free ports, with a fresh store.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::load::Child;

/// How long it may take until it serves: ten million subscribers are seeded in less.
const START_MAX: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A server that serves, until it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) diameter: SocketAddr,
}

impl Server {
    /// Starts it on a configuration, with another store and other subscribers, and waits until it serves.
    pub(super) async fn start(config: &Path, directory: &Path, subscribers: u64) -> anyhow::Result<Self> {
        let (diameter, grpc, http) = (free_port().await?, free_port().await?, free_port().await?);
        let binary = std::env::current_exe().context("the path of this binary")?;
        let child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(config)
            .env("TOLLGATE__STORE__DIRECTORY", directory)
            .env("TOLLGATE__SEED__SUBSCRIBERS", subscribers.to_string())
            .env("TOLLGATE__DIAMETER__LISTEN", diameter.to_string())
            .env("TOLLGATE__GRPC__LISTEN", grpc.to_string())
            .env("TOLLGATE__HTTP__LISTEN", http.to_string())
            .env("TOLLGATE__LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .spawn()
            .context("starting the server")?;
        let mut server = Self { child: Child(child), diameter };
        let begun = Instant::now();
        while !is_ready(http).await {
            if let Some(status) = server.child.0.try_wait()? {
                bail!("the server has ended: {status}");
            }
            if begun.elapsed() > START_MAX {
                bail!("the server does not serve after {} s", START_MAX.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// A port that nobody has at this moment. Another process could take it before the server does, which then ends and says so.
async fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

async fn is_ready(http: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(http).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    asked.await.is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}
