use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::join_all};
use libp2p::{Multiaddr, PeerId, StreamProtocol, multiaddr::Protocol};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    output::say,
    streams::{Open, Request},
};

/// Opens streams, each sends a request and ends it, and wants the same bytes back
pub struct Exchanges {
    pub id: i64,
    pub peer: PeerId,
    protocol: StreamProtocol,
    size: usize,

    /// In all, and at a time
    streams: i64,
    concurrency: i64,

    /// How long one may take
    timeout: Duration,
}

impl Exchanges {
    pub fn parse(command: &Value, addr: &Multiaddr) -> Result<Self, Box<dyn Error>> {
        let number = |name: &str| command[name].as_i64().ok_or(format!("{name} is missing"));
        let Some(Protocol::P2p(peer)) = addr.iter().last() else {
            return Err("exchange with whom?".into());
        };

        Ok(Self {
            id: number("id")?,
            peer,
            protocol: StreamProtocol::try_from_owned(
                command["protocol"].as_str().unwrap_or_default().to_string(),
            )?,
            size: number("size")?.try_into()?,
            streams: number("streams")?,
            concurrency: number("concurrency")?,
            timeout: Duration::from_millis(number("timeout")?.try_into()?),
        })
    }

    /// Answers when all of them are done
    pub fn start(self, requests: mpsc::UnboundedSender<Request>) {
        tokio::spawn(async move {
            let left = Arc::new(AtomicI64::new(self.streams));

            let results =
                join_all((0..self.concurrency).map(|_| self.work(left.clone(), requests.clone())))
                    .await
                    .concat();
            let failures: Vec<_> = results
                .iter()
                .filter_map(|result| result.as_ref().err())
                .collect();

            say(
                json!({ "id": self.id, "answered": results.len() - failures.len(), "failures": failures }),
            );
        });
    }

    async fn work(
        &self,
        left: Arc<AtomicI64>,
        requests: mpsc::UnboundedSender<Request>,
    ) -> Vec<Result<(), String>> {
        let mut results = vec![];

        while left.fetch_sub(1, Ordering::Relaxed) > 0 {
            let result = match timeout(self.timeout, self.exchange(&requests)).await {
                Ok(result) => result.map_err(|err| err.to_string()),
                Err(_) => Err("timeout".to_string()),
            };

            results.push(result);
        }

        results
    }

    async fn exchange(
        &self,
        requests: &mpsc::UnboundedSender<Request>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (reply, opened) = oneshot::channel();
        let open = Open {
            protocol: self.protocol.clone(),
            reply,
        };
        requests.send(Request {
            peer: self.peer,
            open,
        })?;

        // with V1Lazy this is before anything was sent
        let mut stream = opened.await??;
        let request = vec![7; self.size];
        let mut answer = vec![];

        stream.write_all(&request).await?;
        stream.close().await?;
        stream.read_to_end(&mut answer).await?;

        if answer != request {
            return Err("the answer is not the request".into());
        }

        Ok(())
    }
}
