//! A rust-libp2p peer to test against. It listens on TCP and QUIC, says where in
//! the first line that it prints, and obeys commands: a line of JSON each, answered
//! by a line of JSON. It ends when its input does.

mod exchange;
mod handlers;
mod output;
mod streams;

use std::{collections::HashSet, error::Error, time::Duration};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm,
    core::upgrade::Version,
    identify,
    multiaddr::Protocol,
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, tls, yamux,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, stdin},
    sync::mpsc,
};

use crate::{
    exchange::Exchanges,
    output::say,
    streams::{Request, Streams},
};

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: Streams,
}

struct Peer {
    swarm: Swarm<Behaviour>,
    addrs: Vec<Multiaddr>,
    identified: HashSet<PeerId>,

    /// Exchanges with peers that have yet to be identified
    waiting: Vec<Exchanges>,
    requests: mpsc::UnboundedSender<Request>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (requests, mut requested) = mpsc::unbounded_channel();
    let mut lines = BufReader::new(stdin()).lines();
    let mut peer = Peer {
        swarm: create_swarm()?,
        addrs: vec![],
        identified: HashSet::new(),
        waiting: vec![],
        requests,
    };

    peer.swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    peer.swarm
        .listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse()?)?;

    loop {
        tokio::select! {
            event = peer.swarm.select_next_some() => peer.on_event(event),
            Some(request) = requested.recv() => peer.swarm.behaviour_mut().streams.open(request),
            line = lines.next_line() => match line? {
                Some(line) => peer.obey(serde_json::from_str(&line)?),
                None => return Ok(()),
            },
        }
    }
}

fn create_swarm() -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    Ok(libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            (noise::Config::new, tls::Config::new),
            yamux::Config::default,
        )?
        .with_quic()
        .with_behaviour(|key| Behaviour {
            identify: identify::Behaviour::new(identify::Config::new(
                "/interop/1.0.0".to_string(),
                key.public(),
            )),
            ping: ping::Behaviour::default(),
            streams: Streams::new(handlers::PROTOCOLS.iter().cloned().map(StreamProtocol::new)),
        })?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(Duration::from_secs(3600))
                .with_substream_upgrade_protocol_override(Version::V1Lazy)
        })
        .build())
}

impl Peer {
    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                let id = *self.swarm.local_peer_id();
                self.addrs.push(address.with(Protocol::P2p(id)));

                if self.addrs.len() == 2 {
                    say(json!({ "peer": "rust-libp2p", "addrs": self.addrs }));
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                ..
            })) => {
                self.identified.insert(peer_id);

                for exchanges in self
                    .waiting
                    .extract_if(.., |waiting| waiting.peer == peer_id)
                {
                    exchanges.start(self.requests.clone());
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                self.identified.remove(&peer_id);
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer_id),
                error,
                ..
            } => {
                for exchanges in self
                    .waiting
                    .extract_if(.., |waiting| waiting.peer == peer_id)
                {
                    say(json!({ "id": exchanges.id, "error": error.to_string() }));
                }
            }
            _ => {}
        }
    }

    fn obey(&mut self, command: Value) {
        let id = &command["id"];

        let done = match command["command"].as_str() {
            Some("drop") => self.drop_protocol(&command),
            Some("exchange") => self.exchange(&command),
            _ => Err("There is no such command".into()),
        };

        match done {
            Ok(Some(answer)) => say(answer),
            Ok(None) => {}
            Err(err) => say(json!({ "id": id, "error": err.to_string() })),
        }
    }

    fn drop_protocol(&mut self, command: &Value) -> Result<Option<Value>, Box<dyn Error>> {
        let protocol = command["protocol"].as_str().ok_or("drop what?")?;
        self.swarm.behaviour_mut().streams.drop_protocol(protocol);

        Ok(Some(json!({ "id": command["id"] })))
    }

    fn exchange(&mut self, command: &Value) -> Result<Option<Value>, Box<dyn Error>> {
        let addr: Multiaddr = command["to"]
            .as_str()
            .ok_or("exchange with whom?")?
            .parse()?;
        let exchanges = Exchanges::parse(command, &addr)?;

        if self.identified.contains(&exchanges.peer) {
            exchanges.start(self.requests.clone());
        } else {
            self.swarm.dial(addr)?;
            self.waiting.push(exchanges);
        }

        Ok(None)
    }
}
