//! Asking another process's health, so that a container needs no other program for it.

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::http::Uri;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// For connecting, asking and answering, all in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// As much of an answer as is looked at.
const MAX_ANSWER: u64 = 4096;

/// Fails unless `url` answers with 200 in time.
pub(crate) async fn health(url: &str) -> anyhow::Result<()> {
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    let uri = uri.with_context(|| format!("{url:?} is not a URL such as http://127.0.0.1:9090/health"))?;
    let first = timeout(PATIENCE, ask(&uri)).await.with_context(|| format!("{url} didn't answer in time"))?;
    let first = first.with_context(|| format!("{url} can't be asked"))?;
    ensure!(first.split(' ').nth(1) == Some("200"), "{url} answered {first:?}");
    Ok(())
}

/// The first line of the answer.
async fn ask(uri: &Uri) -> std::io::Result<String> {
    let host = uri.host().unwrap_or_default();
    let addr = (host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(80));
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n", uri.path());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}
