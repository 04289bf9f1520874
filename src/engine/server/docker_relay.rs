//! A stream to a server from an address of its own container's loopback.
//!
//! A program in the container joins its input and output to the server; see `relay.sh`. What goes through is not looked at.

use futures_util::StreamExt;
use testcontainers::bollard::container::LogOutput;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::docker_engine::{self as engine, Input, Output};
use crate::error::Result;

const SCRIPT: &str = include_str!("relay.sh");

/// How much waits in the stream.
const ROOM: usize = 64 * 1024;

/// What the program said where it could not do its work: nothing, where it could.
pub type Said = JoinHandle<String>;

/// Opens one. `words` are those of `relay.sh`.
///
/// # Errors
/// The engine starts no program there.
pub async fn open(container: &str, words: &[String]) -> Result<(DuplexStream, Said)> {
    let mut argv: Vec<String> = ["sh", "-c", SCRIPT, "relay"].map(String::from).into();
    argv.extend_from_slice(words);
    let (output, input) = engine::converse(container, "postgres", argv).await?;
    let (ours, theirs) = tokio::io::duplex(ROOM);
    Ok((ours, tokio::spawn(carry(output, input, theirs))))
}

/// Carries both ways until both ends are closed.
async fn carry(mut output: Output, mut input: Input, stream: DuplexStream) -> String {
    let (mut from_here, mut to_here) = tokio::io::split(stream);
    let up = async {
        // Whoever breaks off here, or there, ends the connection, which the other side sees.
        let _ = tokio::io::copy(&mut from_here, &mut input).await;
        let _ = input.shutdown().await;
    };
    let down = async {
        let mut said = Vec::new();
        while let Some(Ok(part)) = output.next().await {
            match part {
                LogOutput::StdErr { message } => said.extend_from_slice(&message),
                LogOutput::StdOut { message } => _ = to_here.write_all(&message).await,
                _ => {}
            }
        }
        let _ = to_here.shutdown().await;
        String::from_utf8_lossy(&said).trim().to_owned()
    };
    tokio::join!(up, down).1
}
