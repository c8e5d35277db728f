//! TLS: handshakes that go well and those that do not, and that HTTP over it is what it is
//! without.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;
mod tls_client;

use bytes::Bytes;
use futures_util::stream;
use monoloop::net::TcpStream;
use monoloop::sim::{self, Builder, Faults};
use monoloop::time::{self, sleep};
use monoloop::tls::rustls::client::ClientConnection;
use monoloop::tls::rustls::{AlertDescription, HandshakeKind, version};
use monoloop::tls::{ClientAuth, Pem, TlsConfig, TlsVersion};
use monoloop::{Request, Response, Router, Server, Shutdown, spawn};
use rcgen::date_time_ymd;
use server_common::{
    Counter, Site, get, patient_server, post, quiet, secs, serve_in_real_time, serve_with, server,
};
use std::cell::Cell;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::task::Poll;
use tls_client::{Authority, Broken, Identity, Settings, TlsClient, session};

fn app() -> Router {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/tls", |request: Request| async move { about(&request) })
        .get("/large", |_| async { pattern(LARGE_BYTES) })
        .get("/fails", |_| async {
            Response::stream(stream::iter([Ok(Bytes::from("some")), Err("broken")]))
        })
        .post("/echo", |request: Request| async {
            request.into_bytes().await
        })
}

const LARGE_BYTES: usize = 900_000;

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 31 % 251) as u8).collect()
}

fn about(request: &Request) -> String {
    let Some(tls) = request.tls() else {
        return "plain".into();
    };
    assert!(request.is_secure());
    format!(
        "{} {} {} {}",
        tls.version(),
        tls.server_name().unwrap_or("-"),
        String::from_utf8_lossy(tls.alpn().unwrap_or(b"-")),
        tls.peer_certificates().len(),
    )
}

fn pem(identity: &Identity) -> TlsConfig {
    TlsConfig::new(Pem::text(&identity.certificate), Pem::text(&identity.key))
}

/// A server with a certificate for `localhost`, and clients for it.
fn serve_tls(test: impl AsyncFnOnce(&Site, Settings)) {
    let authority = Authority::new();
    let server = server().tls(pem(&authority.issue(&["localhost"])));
    serve_with(&server, app, async |site| {
        test(site, authority.client()).await;
    });
}

async fn connect(site: &Site, settings: &Settings) -> TlsClient {
    TlsClient::new(
        TcpStream::connect(site.address).await.unwrap(),
        settings.session(),
    )
}

async fn connected(site: &Site, settings: &Settings) -> TlsClient {
    let mut client = connect(site, settings).await;
    client.shake_hands().await.unwrap();
    client
}

/// What a client is told by whom a handshake is refused. In TLS 1.3 it takes itself for connected
/// before the server has judged its certificate.
async fn refused(site: &Site, settings: &Settings) -> AlertDescription {
    let mut client = connect(site, settings).await;
    let refused = async {
        client.shake_hands().await?;
        client.get("/").await
    };
    match refused.await {
        Err(Broken::Alert(alert)) => alert,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_versions_are_spoken_and_a_handler_sees_which() {
    serve_tls(async |site, mut settings| {
        for (version, name) in [(&version::TLS12, "TLSv1_2"), (&version::TLS13, "TLSv1_3")] {
            settings.versions = vec![version];
            let mut client = connected(site, &settings).await;
            for _ in 0..3 {
                let about = client.get("/tls").await.unwrap();
                assert_eq!(about, format!("{name} localhost http/1.1 0"));
            }
        }
    });
}

#[test]
fn the_oldest_version_can_be_1_3() {
    let authority = Authority::new();
    let config = pem(&authority.issue(&["localhost"])).version_min(TlsVersion::V1_3);
    serve_with(&server().tls(config), app, async |site| {
        let mut settings = authority.client();
        connected(site, &settings).await.get("/").await.unwrap();
        settings.versions = vec![&version::TLS12];
        let alert = refused(site, &settings).await;
        assert_eq!(alert, AlertDescription::ProtocolVersion);
    });
}

#[test]
fn without_tls_a_request_is_not_secure() {
    serve_with(&server(), app, async |site| {
        assert_eq!(site.get("/tls").await.text(), "plain");
    });
}

#[test]
fn of_the_protocols_offered_http_1_1_is_taken_and_none_but_it() {
    serve_tls(async |site, mut settings| {
        settings.alpn = vec!["h2", "http/1.1"];
        let about = connected(site, &settings).await.get("/tls").await.unwrap();
        assert_eq!(about, "TLSv1_3 localhost http/1.1 0");
        // RFC 7301 §3.2.
        settings.alpn = vec!["h2"];
        let alert = refused(site, &settings).await;
        assert_eq!(alert, AlertDescription::NoApplicationProtocol);
        settings.alpn = vec![];
        let about = connected(site, &settings).await.get("/tls").await.unwrap();
        assert_eq!(about, "TLSv1_3 localhost - 0");
    });
}

#[test]
fn the_name_asked_for_chooses_the_certificate_and_the_first_is_for_all_others() {
    let authority = Authority::new();
    let first = authority.issue(&["a.example", "127.0.0.1"]);
    let wild = authority.issue(&["*.b.example", "b.example"]);
    let config = pem(&first).certificate(Pem::text(&wild.certificate), Pem::text(&wild.key));
    serve_with(&server().tls(config), app, async |site| {
        let shown = async |name: &str| {
            let settings = Settings {
                name: name.into(),
                ..authority.client()
            };
            let mut client = connect(site, &settings).await;
            let shaken = client.shake_hands().await;
            let shown = client.session.peer_certificates().map(|all| all[0].clone());
            (shaken.is_ok(), shown)
        };
        for (name, identity) in [
            ("a.example", &first),
            ("b.example", &wild),
            ("www.b.example", &wild),
            // No name is asked for.
            ("127.0.0.1", &first),
        ] {
            assert_eq!(shown(name).await, (true, Some(identity.der())), "{name}");
        }
        // The client judges what it is shown.
        assert!(!shown("other.example").await.0);
        assert!(!shown("x.y.b.example").await.0);
    });
}

#[test]
fn clients_have_to_show_a_certificate_of_the_authority_where_that_is_required() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let authorities = Pem::text(authority.pem());
    let config =
        pem(&authority.issue(&["localhost"])).client_auth(ClientAuth::Required, authorities);
    serve_with(&server().tls(config), app, async |site| {
        for version in [&version::TLS12, &version::TLS13] {
            let mut settings = authority.client();
            settings.versions = vec![version];
            let alert = refused(site, &settings).await;
            assert_eq!(alert, AlertDescription::CertificateRequired);
            settings.identity = Some(stranger.issue(&["me"]));
            let alert = refused(site, &settings).await;
            assert_eq!(alert, AlertDescription::UnknownCA);
            settings.identity = Some(authority.issue(&["me"]));
            let about = connected(site, &settings).await.get("/tls").await.unwrap();
            assert!(about.ends_with("localhost http/1.1 1"), "{about}");
        }
    });
}

#[test]
fn clients_may_show_a_certificate_where_that_is_optional() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let authorities = Pem::text(authority.pem());
    let config =
        pem(&authority.issue(&["localhost"])).client_auth(ClientAuth::Optional, authorities);
    let app = || {
        Router::new().get("/", |request: Request| async move {
            let certificates = request.tls().unwrap().peer_certificates();
            certificates
                .first()
                .map(|one| one.to_vec())
                .unwrap_or_default()
        })
    };
    serve_with(&server().tls(config), app, async |site| {
        let mut settings = authority.client();
        assert_eq!(connected(site, &settings).await.get("/").await.unwrap(), "");
        let mine = authority.issue(&["me"]);
        settings.identity = Some(mine.clone());
        let mut client = connected(site, &settings).await;
        client.send(get("/")).await.unwrap();
        assert_eq!(client.response().await.unwrap().1, mine.der().to_vec());
        settings.identity = Some(stranger.issue(&["me"]));
        assert_eq!(refused(site, &settings).await, AlertDescription::UnknownCA);
    });
}

#[test]
fn a_session_is_resumed_by_its_ticket() {
    serve_tls(async |site, settings| {
        for version in [&version::TLS12, &version::TLS13] {
            let config = Settings {
                versions: vec![version],
                ..settings.clone()
            };
            let config = config.config();
            let mut kinds = Vec::new();
            for _ in 0..2 {
                let tcp = TcpStream::connect(site.address).await.unwrap();
                let mut client = TlsClient::new(tcp, session(config.clone(), "localhost"));
                client.shake_hands().await.unwrap();
                let about = client.get("/tls").await.unwrap();
                assert!(about.ends_with(" localhost http/1.1 0"), "{about}");
                kinds.push(client.session.handshake_kind().unwrap());
            }
            assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
        }
    });
}

#[test]
fn a_handshake_that_trickles_is_cut_off_at_its_deadline() {
    serve_tls(async |site, settings| {
        let mut session = settings.session();
        let mut hello = Vec::new();
        session.write_tls(&mut hello).unwrap();
        let mut client = site.connect().await;
        for byte in hello.chunks(1).take(9) {
            sleep(secs(1)).await;
            client.send(byte).await;
        }
        client.assert_closed().await;
        assert_eq!(site.seconds(), 10);
        let mut silent = site.connect().await;
        silent.assert_closed().await;
        assert_eq!(site.seconds(), 20);
    });
}

#[test]
fn a_handshake_is_not_charged_what_the_loop_was_stuck() {
    let authority = Authority::new();
    Builder::new().run(2, async {
        serve_in_world(&authority, app, async |address| {
            let mut session = authority.client().session();
            let mut hello = Vec::new();
            session.write_tls(&mut hello).unwrap();
            let mut tcp = TcpStream::connect(address).await.unwrap();
            tcp.write_all(&hello[..20]).await.unwrap();
            sleep(secs(5)).await;
            sim::burn(secs(8));
            sleep(secs(3)).await;
            tcp.write_all(&hello[20..]).await.unwrap();
            let mut client = TlsClient::new(tcp, session);
            client.shake_hands().await.unwrap();
            assert_eq!(client.get("/").await.unwrap(), "root");

            // But by no more.
            let mut silent = TcpStream::connect(address).await.unwrap();
            sleep(secs(1)).await;
            sim::burn(secs(8));
            let began = time::now_precise();
            assert!(silent.receive().await.unwrap().is_empty());
            assert_eq!((time::now_precise() - began).as_secs(), 9);
        })
        .await;
    });
}

#[test]
fn the_time_of_the_first_head_begins_when_the_handshake_is_done() {
    serve_tls(async |site, settings| {
        let mut client = connect(site, &settings).await;
        sleep(secs(9)).await;
        client.shake_hands().await.unwrap();
        client.send("GET / HT").await.unwrap();
        sleep(secs(9)).await;
        let began = site.seconds();
        let (head, _) = client.response().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        assert_eq!((began, site.seconds()), (18, 19));
        // The last words are the last, and said to be.
        assert_eq!(client.rest().await.unwrap(), b"");
    });
}

#[test]
fn records_that_come_byte_by_byte_are_records() {
    serve_tls(async |site, mut settings| {
        for version in [&version::TLS12, &version::TLS13] {
            settings.versions = vec![version];
            let mut client = connect(site, &settings).await;
            client.write_bytes_max = 1;
            client.shake_hands().await.unwrap();
            assert_eq!(client.get("/").await.unwrap(), "root");
            client.send(post("/echo", "some more")).await.unwrap();
            assert_eq!(client.response().await.unwrap().1, b"some more");
        }
    });
}

#[test]
fn a_peer_that_half_closes_in_the_handshake_is_let_go_at_once() {
    serve_tls(async |site, settings| {
        let mut hello = Vec::new();
        settings.session().write_tls(&mut hello).unwrap();
        for length in [0, 1, 5, hello.len() / 2, hello.len()] {
            let mut client = site.send(&hello[..length]).await;
            client.finish();
            // The server's flight, if it has had one to send.
            client.rest().await;
            assert_eq!(site.seconds(), 0, "{length} bytes");
        }
    });
}

#[test]
fn what_is_not_tls_is_told_so_and_let_go() {
    const ALERT: u8 = 21;
    serve_tls(async |site, _| {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..5000).map(|_| random.u8(128..)).collect();
        let mut bad_hello = vec![22, 3, 1, 0x12, 0x34, 1, 0, 0x12, 0x30];
        bad_hello.extend(noise.iter().take(0x1230));
        let endless_hello = [22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff].to_vec();
        let too_long = [22, 3, 1, 0xff, 0xff, 1, 2, 3].to_vec();
        let not_a_hello = [22, 3, 3, 0, 4, 2, 0, 0, 0].to_vec();
        let alert_first = [21, 3, 3, 0, 2, 2, 40].to_vec();
        for (bytes, is_told) in [
            (noise, true),
            (bad_hello, true),
            // rustls has no words for it.
            (endless_hello, false),
            (too_long, true),
            (not_a_hello, true),
            // Who gives up needs not be told.
            (alert_first, false),
        ] {
            let mut client = site.connect().await;
            client.send_until_closed(&bytes).await;
            let answer = client.rest().await;
            let alert = answer.first().copied();
            assert_eq!(
                alert,
                is_told.then_some(ALERT),
                "{:?}: {answer:?}",
                &bytes[..5]
            );
            assert_eq!(site.seconds(), 0, "{:?}", &bytes[..5]);
        }
    });
}

#[test]
fn a_record_that_is_too_long_is_answered_with_the_right_alert_after_the_handshake_too() {
    serve_tls(async |site, settings| {
        let mut client = connected(site, &settings).await;
        client.get("/").await.unwrap();
        client
            .tcp
            .write_all(&[23, 3, 3, 0xff, 0xff, 0])
            .await
            .unwrap();
        match client.rest().await {
            Err(Broken::Alert(alert)) => assert_eq!(alert, AlertDescription::DecodeError),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection_with_an_alert() {
    serve_tls(async |site, settings| {
        let mut client = connected(site, &settings).await;
        client.get("/").await.unwrap();
        client.tcp.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
        client.tcp.write_all(&[7; 32]).await.unwrap();
        match client.rest().await {
            Err(Broken::Alert(alert)) => assert_eq!(alert, AlertDescription::BadRecordMac),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn plain_http_is_answered_in_plain_http() {
    serve_tls(async |site, _| {
        let mut client = site.send(get("/")).await;
        let answer = client.answer().await;
        answer.assert_last(400);
        assert_eq!(answer.text(), "this port speaks TLS; use https://\n");
        client.assert_closed().await;
        // The head need not be whole.
        site.send("G").await.answer().await.assert_last(400);
    });
}

#[test]
fn an_orderly_end_is_said_to_be_one_and_a_broken_body_is_not() {
    serve_tls(async |site, settings| {
        let mut client = connected(site, &settings).await;
        let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.send(request).await.unwrap();
        let all = client.rest().await.unwrap();
        assert!(all.ends_with(b"root"), "{}", all.escape_ascii());

        let mut idle = connected(site, &settings).await;
        idle.get("/").await.unwrap();
        assert_eq!(idle.rest().await.unwrap(), b"");
        assert_eq!(site.seconds(), 75);

        let mut client = connected(site, &settings).await;
        client.send(get("/fails")).await.unwrap();
        let ended = client.rest().await;
        assert!(matches!(ended, Err(Broken::CutShort)), "{ended:?}");
    });
}

#[test]
fn a_client_that_is_done_is_answered_to_the_end() {
    serve_tls(async |site, settings| {
        let mut client = connected(site, &settings).await;
        client.send(get("/")).await.unwrap();
        client.finish().await.unwrap();
        let all = client.rest().await.unwrap();
        assert!(all.ends_with(b"root"), "{}", all.escape_ascii());
    });
}

#[test]
fn a_body_that_is_cut_short_is_not_taken_for_whole() {
    let seen = Counter::default();
    let app = || {
        let seen = seen.clone();
        Router::new().post("/", move |request: Request| {
            let seen = seen.clone();
            async move {
                match request.into_bytes().await {
                    Ok(_) => panic!("half of it is not all of it"),
                    Err(_) => seen.add(),
                };
            }
        })
    };
    let authority = Authority::new();
    let server = server().tls(pem(&authority.issue(&["localhost"])));
    serve_with(&server, app, async |site| {
        for says_goodbye in [false, true] {
            let mut client = connected(site, &authority.client()).await;
            let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
            client.send(head).await.unwrap();
            quiet().await;
            match says_goodbye {
                true => client.finish().await.unwrap(),
                false => client.cut_short(),
            }
            let _ = client.rest().await;
        }
        assert_eq!(seen.get(), 2);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    serve_tls(async |site, settings| {
        let mut client = connected(site, &settings).await;
        let many: String = (0..500).map(|n| post("/echo", &n.to_string())).collect();
        client.send(many).await.unwrap();
        for n in 0..500 {
            let (_, body) = client.response().await.unwrap();
            assert_eq!(body, n.to_string().into_bytes());
        }
    });
}

#[test]
fn keys_can_be_changed_in_the_middle() {
    serve_tls(async |site, mut settings| {
        settings.versions = vec![&version::TLS13];
        let mut client = connected(site, &settings).await;
        for _ in 0..3 {
            // The server's own new keys come before its next answer (RFC 8446 §4.6.3).
            client.session.refresh_traffic_keys().unwrap();
            client.flush().await.unwrap();
            quiet().await;
            assert_eq!(client.get("/").await.unwrap(), "root");
        }
    });
}

#[test]
fn large_bodies_go_both_ways() {
    let authority = Authority::new();
    let server = patient_server().tls(pem(&authority.issue(&["localhost"])));
    serve_in_real_time(&server, app, async |site| {
        let mut client = connected(site, &authority.client()).await;
        client.send(get("/large")).await.unwrap();
        let (_, body) = client.response().await.unwrap();
        assert!(body == pattern(LARGE_BYTES));
        let length = body.len();
        let head = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        client.send(head).await.unwrap();
        client.send(&body).await.unwrap();
        let (_, echoed) = client.response().await.unwrap();
        assert!(echoed == body);
    });
}

#[test]
fn a_peer_that_does_not_read_stops_what_is_sent_to_it_and_is_cut_off() {
    let sent = Counter::default();
    let app = || {
        let sent = sent.clone();
        Router::new().get("/", move |_| {
            let sent = sent.clone();
            let piece = Bytes::from_static(&[b'x'; 64 * 1024]);
            async move {
                Response::stream(stream::poll_fn(move |_| {
                    sent.add();
                    Poll::Ready(Some(Ok::<_, Infallible>(piece.clone())))
                }))
            }
        })
    };
    let authority = Authority::new();
    let server = server().tls(pem(&authority.issue(&["localhost"])));
    serve_with(&server, app, async |site| {
        let mut client = connected(site, &authority.client()).await;
        client.send(get("/")).await.unwrap();
        sleep(secs(10)).await;
        let before = sent.get();
        sleep(secs(10)).await;
        assert_eq!(sent.get(), before, "nobody has read meanwhile");
        sleep(secs(15)).await;
        let broken = client.rest().await;
        assert!(broken.is_err(), "it was cut off");
    });
}

/// A server in a made-up world, in which nothing waits for the kernel.
async fn serve_in_world(
    authority: &Authority,
    app: impl Fn() -> Router,
    test: impl AsyncFnOnce(SocketAddr),
) {
    let address = "10.0.0.1:443";
    let shutdown = Shutdown::new();
    let server = Server::bind(address).unwrap();
    let server = server.tls(pem(&authority.issue(&["localhost"])));
    let serving = server.spawn(app, &shutdown).unwrap();
    test(address.parse().unwrap()).await;
    shutdown.drain();
    assert_eq!(serving.wait().await.forced, 0);
}

#[test]
fn a_slow_reader_that_makes_progress_is_not_cut_off() {
    const BYTES: usize = 400_000;
    let authority = Authority::new();
    let app = || Router::new().get("/", |_| async { pattern(BYTES) });
    Builder::new().run(1, async {
        serve_in_world(&authority, app, async |address| {
            let tcp = TcpStream::connect(address).await.unwrap();
            let mut client = TlsClient::new(tcp, authority.client().session());
            client.shake_hands().await.unwrap();
            client.send(get("/")).await.unwrap();
            let began = time::now();
            // A record takes longer than the server waits for any progress.
            let mut records = Vec::new();
            let mut buffer = [0; 2000];
            while records.len() < BYTES {
                sleep(secs(5)).await;
                let count = client.tcp.read(&mut buffer).await.unwrap();
                assert!(count > 0, "cut off behind {} bytes", records.len());
                records.extend_from_slice(&buffer[..count]);
            }
            assert!(time::now() - began >= secs(900));
            client.read_before(&records).unwrap();
            let (_, body) = client.response().await.unwrap();
            assert!(body == pattern(BYTES));
        })
        .await;
    });
}

#[test]
fn under_faults_answers_are_right_or_missing_and_the_server_ends_with_nothing_left() {
    let authority = Authority::new();
    let settings = authority.client();
    let (answered, asked) = (Cell::new(0), Cell::new(0));
    let world = Builder::new().faults(Faults::rough()).shuffle(true);
    world.seeds(0..60, |seed| {
        let (authority, settings, answered, asked) = (&authority, &settings, &answered, &asked);
        async move {
            serve_in_world(authority, app, async |address| {
                let mut random = fastrand::Rng::with_seed(seed);
                let clients: Vec<_> = (0..5)
                    .map(|_| {
                        asked.set(asked.get() + 1);
                        let (session, bytes) = (settings.session(), random.usize(0..200_000));
                        spawn(async move { echo(address, session, bytes).await.is_ok() })
                    })
                    .collect();
                for client in clients {
                    let is_answered = client.await.unwrap();
                    answered.set(answered.get() + u32::from(is_answered));
                }
            })
            .await;
        }
    });
    let (answered, asked) = (answered.get(), asked.get());
    assert!(
        (asked / 4..asked).contains(&answered),
        "{answered} of {asked}"
    );
}

/// Has a body come back, while it is sent.
async fn echo(address: SocketAddr, session: ClientConnection, bytes: usize) -> Result<(), Broken> {
    let tcp = TcpStream::connect(address).await.map_err(Broken::Io)?;
    let mut client = TlsClient::new(tcp, session);
    client.shake_hands().await?;
    let body = pattern(bytes);
    for _ in 0..2 {
        let head = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        client.send(head).await?;
        client.send(&body).await?;
        let (_, echoed) = client.response().await?;
        assert!(echoed == body);
    }
    client.finish().await
}

#[test]
fn a_server_that_drains_sees_a_handshake_through_and_answers() {
    serve_tls(async |site, settings| {
        let mut silent = connect(site, &settings).await;
        let mut begun = connect(site, &settings).await;
        begun.flush().await.unwrap();
        quiet().await;
        site.shutdown.drain();
        quiet().await;
        begun.shake_hands().await.unwrap();
        begun.send(get("/")).await.unwrap();
        let (head, body) = begun.response().await.unwrap();
        assert_eq!(body, b"root");
        assert!(head.contains("connection: close"), "{head}");
        assert!(silent.rest().await.is_err());
        assert_eq!(site.seconds(), 0);
    });
}

fn write(directory: &std::path::Path, identity: &Identity) -> TlsConfig {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&certificate, &identity.certificate).unwrap();
    fs::write(&key, &identity.key).unwrap();
    TlsConfig::new(certificate, key)
}

#[test]
fn new_certificates_are_for_new_connections_and_wrong_ones_for_none() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (
        authority.issue(&["localhost"]),
        authority.issue(&["localhost"]),
    );
    let server: Server = server().tls(write(directory.path(), &old));
    let reloader = server.tls_reloader().unwrap();
    serve_with(&server, app, async |site| {
        let shown = async || {
            let client = connected(site, &authority.client()).await;
            client.session.peer_certificates().unwrap()[0].clone()
        };
        let mut open = connected(site, &authority.client()).await;
        open.get("/").await.unwrap();
        // Accepted before, and served with what it was accepted with.
        let mut silent = connect(site, &authority.client()).await;
        quiet().await;

        write(directory.path(), &new);
        assert_eq!(shown().await, old.der(), "nobody has asked for the new one");
        reloader.reload().unwrap();
        assert_eq!(shown().await, new.der());
        open.get("/").await.unwrap();
        silent.shake_hands().await.unwrap();
        assert_eq!(silent.session.peer_certificates().unwrap()[0], old.der());

        fs::write(directory.path().join("key.pem"), &old.key).unwrap();
        let error = reloader.reload().unwrap_err().to_string();
        assert!(
            error.contains("key.pem: is not the key of the certificate in "),
            "{error}"
        );
        fs::remove_file(directory.path().join("key.pem")).unwrap();
        let error = reloader.reload().unwrap_err().to_string();
        assert!(error.ends_with("check the path"), "{error}");
        assert_eq!(shown().await, new.der());

        reloader.replace(pem(&old)).unwrap();
        assert_eq!(shown().await, old.der());
        open.get("/").await.unwrap();
    });
}

#[test]
fn all_loops_of_a_server_get_the_new_certificate() {
    let authority = Authority::new();
    let (old, new) = (
        authority.issue(&["localhost"]),
        authority.issue(&["localhost"]),
    );
    let server = server().threads(3).tls(pem(&old));
    let reloader = server.tls_reloader().unwrap();
    let running = server.start(app).unwrap();
    let address = running.local_addr();
    let mut runtime = monoloop::Runtime::new().unwrap();
    let shown = |runtime: &mut monoloop::Runtime| {
        runtime.block_on(async {
            let mut shown = Vec::new();
            for _ in 0..20 {
                let tcp = TcpStream::connect(address).await.unwrap();
                let mut client = TlsClient::new(tcp, authority.client().session());
                client.shake_hands().await.unwrap();
                client.get("/").await.unwrap();
                shown.push(client.session.peer_certificates().unwrap()[0].clone());
            }
            shown
        })
    };
    assert!(shown(&mut runtime).iter().all(|one| *one == old.der()));
    reloader.replace(pem(&new)).unwrap();
    assert!(shown(&mut runtime).iter().all(|one| *one == new.der()));
    running.stop();
}

#[test]
fn a_configuration_of_rustls_is_taken_as_it_is() {
    use monoloop::tls::rustls::pki_types::{PrivateKeyDer, pem::PemObject};
    use monoloop::tls::rustls::{ServerConfig, crypto::ring::default_provider};
    let authority = Authority::new();
    let identity = authority.issue(&["localhost"]);
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der()], key)
        .unwrap();
    let server = server().tls(TlsConfig::from_rustls(config.into()));
    serve_with(&server, app, async |site| {
        let mut client = connected(site, &authority.client()).await;
        let about = client.get("/tls").await.unwrap();
        assert_eq!(about, "TLSv1_2 localhost - 0");
    });
}

#[test]
fn wrong_files_are_refused_by_name_before_the_server_listens() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let good = authority.issue(&["localhost"]);
    let other = authority.issue(&["localhost"]);
    let path = |name: &str| directory.path().join(name);
    fs::write(path("good.pem"), &good.certificate).unwrap();
    fs::write(path("good.key"), &good.key).unwrap();
    fs::write(path("other.key"), &other.key).unwrap();
    fs::write(path("empty.pem"), "").unwrap();
    fs::write(
        path("broken.pem"),
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (certificate, key, expected) in [
        (
            "none.pem",
            "good.key",
            "none.pem: cannot be read: No such file",
        ),
        (
            "empty.pem",
            "good.key",
            "empty.pem: has no certificate in it; expected PEM",
        ),
        (
            "good.key",
            "good.key",
            "good.key: has no certificate in it; expected PEM",
        ),
        ("broken.pem", "good.key", "broken.pem: is not PEM"),
        (
            "good.pem",
            "empty.pem",
            "empty.pem: has no private key in it; expected PEM",
        ),
        (
            "good.pem",
            "good.pem",
            "good.pem: has no private key in it; expected PEM",
        ),
        (
            "good.pem",
            "other.key",
            "other.key: is not the key of the certificate in ",
        ),
    ] {
        let config = TlsConfig::new(path(certificate), path(key));
        let error = server().tls(config).start(app).unwrap_err().to_string();
        let error = error.replace(&format!("{}/", directory.path().display()), "");
        assert!(error.starts_with(expected), "{error}");
    }
    let config = TlsConfig::new(path("good.pem"), path("good.key"))
        .client_auth(ClientAuth::Required, path("empty.pem"));
    let error = server().tls(config).start(app).unwrap_err().to_string();
    assert!(
        error.contains("empty.pem: has no certificate in it"),
        "{error}"
    );
}

#[test]
fn a_certificate_that_has_expired_is_served() {
    let authority = Authority::new();
    let expired = authority.issue_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    serve_with(&server().tls(pem(&expired)), app, async |site| {
        let mut client = connect(site, &authority.client()).await;
        let refused = client.shake_hands().await;
        assert!(matches!(refused, Err(Broken::Refused(_))), "{refused:?}");
    });
}

/// Everything until the server says that it is done, by a client that does not read for a while.
async fn rest_slowly(client: &mut TlsClient) -> Result<Vec<u8>, Broken> {
    sleep(secs(10)).await;
    client.rest().await
}

#[test]
fn an_end_that_has_no_room_is_told_when_there_is_some() {
    let authority = Authority::new();
    let app = || {
        Router::new().get("/{bytes}", |request: Request| async move {
            pattern(request.param("bytes").unwrap().parse().unwrap())
        })
    };
    Builder::new().run(1, async {
        serve_in_world(&authority, app, async |address| {
            let mut whole = 0;
            // Somewhere here is the answer that fills what the way between holds, but for less than
            // the end takes.
            for bytes in (260_900..261_400).step_by(12) {
                let tcp = TcpStream::connect(address).await.unwrap();
                let mut client = TlsClient::new(tcp, authority.client().session());
                client.shake_hands().await.unwrap();
                let ask = format!("GET /{bytes} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
                client.send(ask).await.unwrap();
                let all = rest_slowly(&mut client).await;
                let all = all.unwrap_or_else(|error| panic!("{bytes} bytes: {error:?}"));
                whole += usize::from(all.ends_with(&pattern(bytes)));
            }
            assert_eq!(whole, 42);
        })
        .await;
    });
}

#[cfg(feature = "websocket")]
mod beyond_http {
    use super::*;
    use monoloop::events::Event;
    use monoloop::websocket::{self, Message, WebSocket};
    use monoloop::{Reason, Upgraded, time::timeout};

    fn talking() -> Router {
        Router::new()
            .get("/ws", |request: Request| {
                let response = websocket::accept(&request, async |mut socket: WebSocket| {
                    while let Some(Ok(message)) = socket.receive().await {
                        let _ = socket.send(message).await;
                    }
                });
                async { response }
            })
            .get("/large", |request: Request| {
                let response = websocket::accept(&request, async |mut socket: WebSocket| {
                    let _ = socket.send(Message::binary(pattern(400_000))).await;
                    while let Some(Ok(_)) = socket.receive().await {}
                });
                async { response }
            })
            .get("/echo", |request: Request| {
                let response = Response::upgrade(&request, "echo", async |mut peer: Upgraded| {
                    while let Ok(bytes) = peer.receive().await
                        && !bytes.is_empty()
                    {
                        peer.write_all(&bytes).await.unwrap();
                    }
                });
                async { response }
            })
            .get("/events", |_| async {
                Response::events(stream::unfold(0, async |n| {
                    sleep(secs(1)).await;
                    Some((Event::data(format!("tick {n}")), n + 1))
                }))
            })
    }

    async fn until(client: &mut TlsClient, end: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        while !all.ends_with(end) {
            all.extend(client.take(1).await.unwrap());
        }
        all
    }

    async fn open(site: &Site, settings: &Settings, path: &str, protocol: &str) -> TlsClient {
        open_at(site.address, settings, path, protocol).await
    }

    async fn open_at(
        address: SocketAddr,
        settings: &Settings,
        path: &str,
        protocol: &str,
    ) -> TlsClient {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut client = TlsClient::new(tcp, settings.session());
        client.shake_hands().await.unwrap();
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        client.send(ask).await.unwrap();
        let head = until(&mut client, b"\r\n\r\n").await;
        assert!(
            head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            head.escape_ascii()
        );
        client
    }

    /// A frame as clients send it, masked with nothing.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let start = [first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        [&start[..], payload].concat()
    }

    fn serve_talking(server: Server, test: impl AsyncFnOnce(&Site, Settings)) -> Server {
        let authority = Authority::new();
        let server = server.tls(pem(&authority.issue(&["localhost"])));
        serve_with(&server, talking, async |site| {
            test(site, authority.client()).await;
        });
        server
    }

    #[test]
    fn a_websocket_talks_and_each_end_of_it_is_an_orderly_end_of_tls() {
        serve_talking(server(), async |site, settings| {
            let mut client = open(site, &settings, "/ws", "websocket").await;
            client.send(frame(0x81, b"hello")).await.unwrap();
            assert_eq!(client.take(7).await.unwrap(), b"\x81\x05hello");
            client.send(frame(0x88, b"\x03\xe8")).await.unwrap();
            // The close, and then close_notify: without it this would be CutShort.
            assert_eq!(client.rest().await.unwrap(), b"\x88\x02\x03\xe8");

            // A fault is told, and the end is one, too.
            let mut client = open(site, &settings, "/ws", "websocket").await;
            client.send(frame(0x83, b"?")).await.unwrap();
            let told = client.rest().await.unwrap();
            assert!(told.starts_with(b"\x88"), "{}", told.escape_ascii());

            // What ends in the middle is known to.
            let mut client = open(site, &settings, "/ws", "websocket").await;
            client.cut_short();
            assert!(matches!(client.rest().await, Err(Broken::CutShort)));

            let mut client = open(site, &settings, "/echo", "echo").await;
            client.send("back").await.unwrap();
            assert_eq!(client.take(4).await.unwrap(), b"back");
            client.finish().await.unwrap();
            assert_eq!(client.rest().await.unwrap(), b"");
        });
    }

    #[test]
    fn a_slow_reader_gets_a_message_and_the_orderly_end_behind_it() {
        let authority = Authority::new();
        Builder::new().run(1, async {
            serve_in_world(&authority, talking, async |address| {
                let settings = authority.client();
                let mut client = open_at(address, &settings, "/large", "websocket").await;
                let mut all = Vec::new();
                while all.len() < 400_000 {
                    sleep(secs(12)).await;
                    all.extend(client.take(50_000).await.unwrap());
                    // Pongs go in between, and what is written is the same bytes still.
                    client.send(frame(0x89, b"ping")).await.unwrap();
                }
                client.send(frame(0x88, b"\x03\xe8")).await.unwrap();
                all.extend(client.rest().await.unwrap());
                assert!(all.windows(4).any(|four| four == b"\x88\x02\x03\xe8"));
            })
            .await;
        });
    }

    #[test]
    fn a_peer_that_does_not_read_is_cut_off_in_the_middle_of_a_record() {
        let authority = Authority::new();
        Builder::new().run(1, async {
            serve_in_world(&authority, talking, async |address| {
                let settings = authority.client();
                let mut client = open_at(address, &settings, "/large", "websocket").await;
                sleep(secs(20)).await;
                // Pongs are put behind what waits.
                client.send(frame(0x89, b"ping")).await.unwrap();
                sleep(secs(20)).await;
                assert!(client.rest().await.is_err());
            })
            .await;
        });
    }

    #[test]
    fn certificates_change_under_open_connections_and_a_drain_ends_each_in_order() {
        let authority = Authority::new();
        let server = server().tls(pem(&authority.issue(&["localhost"])));
        let reloader = server.tls_reloader().unwrap();
        let settings = authority.client();
        serve_with(&server, talking, async |site| {
            let mut socket = open(site, &settings, "/ws", "websocket").await;
            let mut echo = open(site, &settings, "/echo", "echo").await;
            let mut events = connected(site, &settings).await;
            events.send(get("/events")).await.unwrap();
            until(&mut events, b"tick 1\n\n").await;

            let new = authority.issue(&["localhost"]);
            reloader.replace(pem(&new)).unwrap();
            socket.send(frame(0x81, b"still")).await.unwrap();
            assert_eq!(socket.take(7).await.unwrap(), b"\x81\x05still");
            until(&mut events, b"tick 2\n\n").await;
            let later = connected(site, &settings).await;
            assert_eq!(later.session.peer_certificates().unwrap()[0], new.der());
            drop(later);

            let began = site.seconds();
            site.shutdown.drain();
            let ended = timeout(secs(5), async {
                let close = socket.take(4).await.unwrap();
                assert_eq!(close[..1], [0x88]);
                socket.send(frame(0x88, b"\x03\xe9")).await.unwrap();
                socket.rest().await.unwrap();
                let last = events.rest().await.unwrap();
                assert!(last.ends_with(b"0\r\n\r\n"), "{}", last.escape_ascii());
                echo.finish().await.unwrap();
                echo.rest().await.unwrap();
            });
            ended.await.unwrap();
            assert!(site.seconds() - began <= 1);
        });
        let seen = server.ledger().snapshot();
        assert_eq!(seen.connections.ended_in(Reason::Upgraded), 2);
        assert_eq!(seen.connections.ended_in(Reason::DrainForced), 0);
    }
}
