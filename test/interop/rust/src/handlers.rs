use std::{io, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{Stream, StreamProtocol};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::output::say;

const SLOWNESS: Duration = Duration::from_millis(300);

pub const PROTOCOLS: [&str; 7] = [
    "/interop/echo/1.0.0",
    "/interop/other/1.0.0",
    "/interop/dropped/1.0.0",
    "/interop/speak-first/1.0.0",
    "/interop/sink/1.0.0",
    "/interop/slow/1.0.0",
    "/interop/lp/1.0.0",
];

pub async fn handle(protocol: StreamProtocol, mut stream: Stream) {
    let handled = match protocol.as_ref() {
        "/interop/speak-first/1.0.0" => stream.write_all(b"welcome").await,
        "/interop/sink/1.0.0" => sink(&mut stream).await,
        "/interop/slow/1.0.0" => slow(&mut stream).await,
        "/interop/lp/1.0.0" => length_prefixed(&mut stream).await,
        _ => echo(&mut stream).await,
    };

    // without this it is reset
    if handled.is_ok() {
        let _ = stream.close().await;
    }
}

async fn echo(stream: &mut Stream) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];

    loop {
        let n = stream.read(&mut buffer).await?;

        if n == 0 {
            return Ok(());
        }

        stream.write_all(&buffer[..n]).await?;
        stream.flush().await?;
    }
}

/// Answers with what it got when it has ended. It says so, and that it has begun, on
/// stdout as well: that is how a test knows while it holds our answers.
async fn sink(stream: &mut Stream) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    let mut sum = Sha256::new();
    let mut total = 0;

    loop {
        let n = stream.read(&mut buffer).await?;

        if n == 0 {
            break;
        }

        if total == 0 {
            let data = String::from_utf8_lossy(&buffer[..n.min(64)]);
            say(json!({ "event": "received", "data": data }));
        }

        sum.update(&buffer[..n]);
        total += n;
    }

    let sha256: String = sum
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let report = json!({ "bytes": total, "sha256": sha256 });
    say(json!({ "event": "ended", "bytes": total }));

    stream.write_all(report.to_string().as_bytes()).await
}

async fn slow(stream: &mut Stream) -> io::Result<()> {
    tokio::time::sleep(SLOWNESS).await;
    sink(stream).await
}

/// Sends back each message that it gets
async fn length_prefixed(stream: &mut Stream) -> io::Result<()> {
    while let Some((prefix, length)) = read_length(stream).await? {
        let mut data = vec![0; length];
        stream.read_exact(&mut data).await?;
        stream.write_all(&[prefix, data].concat()).await?;
        stream.flush().await?;
    }

    Ok(())
}

/// Returns the bytes of the prefix and the length that they stand for
async fn read_length(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(Vec<u8>, usize)>> {
    let mut prefix = vec![];
    let mut length = 0;

    loop {
        let mut byte = [0];

        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }

        length |= usize::from(byte[0] & 0x7f) << (7 * prefix.len());
        prefix.push(byte[0]);

        if byte[0] & 0x80 == 0 {
            return Ok(Some((prefix, length)));
        }
    }
}
