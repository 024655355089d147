//! Where the node listens, and by what transport.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tollgate::config::{Config, Listen, SystemEnvironment};

use crate::{
    client::{Client, cer},
    support::{DEMO_CATALOG, TestNode},
    wire::code,
};

/// The Host-IP-Addresses of a CEA, in order.
async fn named_addresses(at: SocketAddr) -> Vec<IpAddr> {
    let mut client = Client::tcp(at).await;
    let cea = client.ask(&cer("gw.example", "gateways.example")).await;
    let address = |data: &[u8]| match data {
        [0, 1, octets @ ..] => IpAddr::from(<[u8; 4]>::try_from(octets).unwrap()),
        [0, 2, octets @ ..] => IpAddr::from(<[u8; 16]>::try_from(octets).unwrap()),
        other => panic!("{other:?}"),
    };
    cea.part().all(code::HOST_IP_ADDRESS).iter().map(|part| address(part.0)).collect()
}

// tests: B-48 B-148
#[tokio::test]
async fn several_addresses_of_both_families_and_each_names_itself_first() {
    let any = |ip: IpAddr| SocketAddr::new(ip, 0).into();
    let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    let node =
        TestNode::start(DEMO_CATALOG, |config| config.diameter.listen = Listen::Many(vec![any(v4), any(v6)])).await;
    let [at_v4, at_v6] = node.node.diameter[..] else { panic!("{:?}", node.node.diameter) };
    assert_eq!(named_addresses(at_v4).await, [v4, v6]);
    assert_eq!(named_addresses(at_v6).await, [v6, v4]);
}

// tests: B-148
#[tokio::test]
async fn everywhere_means_both_families_also_with_one_port() {
    // A port that is free now is free still, nearly always: other tests take theirs from the system as well.
    let port = std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port();
    let node = TestNode::start(DEMO_CATALOG, |config| {
        let at = |ip: IpAddr| SocketAddr::new(ip, port).into();
        config.diameter.listen = Listen::Many(vec![at(Ipv4Addr::UNSPECIFIED.into()), at(Ipv6Addr::UNSPECIFIED.into())]);
    })
    .await;
    assert_eq!(node.node.diameter.len(), 2);
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        assert_eq!(named_addresses(SocketAddr::new(ip, port)).await, [ip]);
    }
}

#[cfg(not(feature = "sctp"))]
#[test]
fn a_build_without_sctp_says_so() {
    let text = "[diameter]\nlisten = [\"127.0.0.1:3868\", \"sctp://127.0.0.1:3868\"]\n\
                peers = [{ origin_host = \"a.example\", connect = \"sctp://192.0.2.1\" }]\n";
    let problems = Config::parse(text, None, &SystemEnvironment).unwrap_err().to_string();
    let lines: Vec<_> = problems.lines().collect();
    let why = "this build has no SCTP: build it with `--features sctp`, or leave `sctp://` out";
    assert_eq!(
        lines,
        [
            format!("configuration:2:1: `listen` is sctp://127.0.0.1:3868: {why}"),
            format!("configuration:3:39: peer `a.example`: `connect` is sctp://192.0.2.1: {why}"),
        ]
    );
}

/// Where the kernel has SCTP it carries Diameter; where it has not, the configuration is refused.
// tests: B-182
#[cfg(feature = "sctp")]
#[tokio::test]
async fn sctp_carries_diameter_where_the_kernel_has_it() {
    use socket2::{Domain, Protocol, Socket, Type};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tollgate.toml");
    std::fs::write(&path, "[diameter]\nlisten = \"sctp://127.0.0.1:0\"\n").unwrap();
    let socket = match Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::SCTP)) {
        Ok(socket) => socket,
        Err(error) => {
            let problems = Config::load(Some(&path), &SystemEnvironment).unwrap_err().to_string();
            assert!(problems.contains(":2:1: this machine has no SCTP"), "{problems}");
            return eprintln!("skipped: no SCTP here ({error}); that it is refused was tested");
        }
    };
    let listen = Config::load(Some(&path), &SystemEnvironment).unwrap().diameter.listen;
    let node = TestNode::start(DEMO_CATALOG, |config| config.diameter.listen = listen).await;
    socket.connect(&node.diameter().into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut client = Client::over(tokio::net::TcpStream::from_std(socket.into()).unwrap());
    let cea = client.ask(&cer("gw.example", "gateways.example")).await;
    assert_eq!(cea.result(), 2001);
    client.is_served().await;
}
