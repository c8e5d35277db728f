//! Peers that overstep the bounds of a server in a simulated world, and know what they have coming.

use monoloop::net::{ConnectOptions, TcpStream};
use monoloop::{spawn, time};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const GET: &str = "GET /plain/1 HTTP/1.1\r\nhost: a\r\n\r\n";

/// What one of them does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hostile {
    /// Wants a second connection.
    Crowds,
    /// Sends a body byte by byte.
    Trickles,
    /// Resets the connection while a handler runs.
    HangsUp,
    /// Pipelines more requests than a connection may bring.
    AsksTooMuch,
}

impl Hostile {
    pub(crate) const ALL: [Hostile; 4] = [
        Hostile::Crowds,
        Hostile::Trickles,
        Hostile::HangsUp,
        Hostile::AsksTooMuch,
    ];

    /// Does it. The error is what the server did that it should not.
    pub(crate) async fn run(self, ip: IpAddr, server: SocketAddr) -> Result<(), String> {
        match self {
            Hostile::Crowds => {
                let mut first = connect(ip, server).await?;
                send(&mut first, GET).await?;
                let came = receive(&mut first).await?;
                expect(came.starts_with("HTTP/1.1 200 "), &came)?;
                let mut second = connect(ip, server).await?;
                send(&mut second, GET).await?;
                let came = rest(&mut second).await;
                expect(came.starts_with("HTTP/1.1 503 "), &came)
            }
            Hostile::Trickles => {
                let mut stream = connect(ip, server).await?;
                let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n";
                send(&mut stream, head).await?;
                let (mut reader, mut writer) = stream.into_split();
                let trickling = spawn(async move {
                    while writer.write_all(b"x").await.is_ok() {
                        time::sleep(Duration::from_secs(1)).await;
                    }
                });
                let mut came = Vec::new();
                while came.len() < "HTTP/1.1 408 ".len() {
                    let piece = reader.receive().await.map_err(|error| error.to_string())?;
                    if piece.is_empty() {
                        break;
                    }
                    came.extend_from_slice(&piece);
                }
                trickling.cancel();
                let came = String::from_utf8_lossy(&came);
                expect(came.starts_with("HTTP/1.1 408 "), &came)
            }
            Hostile::HangsUp => {
                let mut stream = connect(ip, server).await?;
                send(&mut stream, "GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await?;
                time::sleep(Duration::from_secs(1)).await;
                let reset = stream.set_linger(Some(Duration::ZERO));
                reset.map_err(|error| error.to_string())
            }
            Hostile::AsksTooMuch => {
                let mut stream = connect(ip, server).await?;
                send(&mut stream, &GET.repeat(super::REQUESTS as usize + 2)).await?;
                let came = rest(&mut stream).await;
                let answers = came.matches("HTTP/1.1 200 ").count();
                expect(answers == super::REQUESTS as usize, &came)?;
                expect(came.matches("connection: close").count() == 1, &came)
            }
        }
    }
}

async fn connect(ip: IpAddr, server: SocketAddr) -> Result<TcpStream, String> {
    let options = ConnectOptions::default().local_addr(SocketAddr::new(ip, 0));
    let stream = TcpStream::connect_with(server, &options).await;
    stream.map_err(|error| error.to_string())
}

async fn send(stream: &mut TcpStream, text: &str) -> Result<(), String> {
    let sent = stream.write_all(text.as_bytes()).await;
    sent.map_err(|error| error.to_string())
}

/// What comes next: a line at least, unless it ends.
async fn receive(stream: &mut TcpStream) -> Result<String, String> {
    let mut all = String::new();
    loop {
        let came = stream.receive().await.map_err(|error| error.to_string())?;
        all += &String::from_utf8_lossy(&came);
        if came.is_empty() || all.contains("\r\n") {
            return Ok(all);
        }
    }
}

/// All that comes, however it ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = String::new();
    while let Ok(came) = receive(stream).await {
        if came.is_empty() {
            break;
        }
        all += &came;
    }
    all
}

fn expect(is_so: bool, came: &str) -> Result<(), String> {
    match is_so {
        true => Ok(()),
        false => Err(format!("{came:?}")),
    }
}
