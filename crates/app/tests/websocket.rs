//! WebSockets, in a made-up world: what the two ends promise each other, and what becomes of those
//! who break it.

#![cfg(feature = "websocket")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod ws_client;

use bytes::Bytes;
use monoloop::sim::{self, Builder, Faults};
use monoloop::time::{self, sleep, timeout};
use monoloop::websocket::{
    self, CloseReason, FrameError, Message, Options, Origins, ReceiveError, SendError, WebSocket,
};
use monoloop::{
    DrainReport, REQUEST_ID, Reason, Request, Response, Router, Server, Shutdown, Timeouts, spawn,
};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tungstenite::Message as Heard;
use ws_client::{Client, frame, frame_announcing, request};

const MIB: usize = 1024 * 1024;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn address() -> SocketAddr {
    "10.0.0.1:80".parse().unwrap()
}

/// Runs a test beside a server that drains when the test is over.
fn serve(app: impl Fn() -> Router, test: impl AsyncFnOnce(&Shutdown)) -> DrainReport {
    serve_in(&Builder::new(), 1, app, test)
}

fn serve_in(
    world: &Builder,
    seed: u64,
    app: impl Fn() -> Router,
    test: impl AsyncFnOnce(&Shutdown),
) -> DrainReport {
    world.run(seed, async {
        let shutdown = Shutdown::new();
        let server = Server::bind("10.0.0.1:80").unwrap();
        let serving = server.spawn(app, &shutdown).unwrap();
        test(&shutdown).await;
        shutdown.drain();
        serving.wait().await
    })
}

/// A router whose `/` is a WebSocket.
fn at_root<F>(options: Options, handler: F) -> Router
where
    F: AsyncFnOnce(WebSocket) + Clone + 'static,
{
    Router::new().get("/", move |request: Request| {
        let response = options.accept(&request, handler.clone());
        async move { response }
    })
}

fn echoing() -> Router {
    at_root(Options::default(), echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.receive().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// What handlers tell their test.
type Told<T> = Rc<RefCell<Vec<T>>>;

/// Receives to the end, and tells what there was.
fn telling(
    options: Options,
) -> (
    impl Fn() -> Router,
    Told<Result<Message, Option<ReceiveError>>>,
) {
    let told: Told<_> = Rc::default();
    let teller = told.clone();
    let app = move || {
        let told = teller.clone();
        at_root(options.clone(), async move |mut socket: WebSocket| {
            loop {
                let heard = match socket.receive().await {
                    Some(Ok(message)) => Ok(message),
                    Some(Err(error)) => Err(Some(error)),
                    None => Err(None),
                };
                let ended = heard.is_err();
                told.borrow_mut().push(heard);
                if ended {
                    break;
                }
            }
        })
    };
    (app, told)
}

#[test]
fn messages_come_back_as_they_came() {
    serve(echoing, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let long: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
        for message in [
            Heard::text(""),
            Heard::text("grüße"),
            Heard::binary(vec![]),
            Heard::binary(vec![0xff, 0, 0xfe]),
            Heard::binary(long),
            Heard::text("ä".repeat(200_000)),
        ] {
            client.say(message.clone()).await.unwrap();
            assert!(client.hear().await.unwrap() == Some(message));
        }
        client.close(1000).await.unwrap();
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn what_is_sent_right_behind_the_request_is_heard() {
    serve(echoing, async |_| {
        let bytes = [request("/", "").as_bytes(), &frame(0x81, b"early")].concat();
        let mut client = Client::send(address(), bytes).await.unwrap();
        assert_eq!(client.answer().await.unwrap().status, 101);
        assert_eq!(client.hear().await.unwrap(), Some(Heard::text("early")));
    });
}

#[test]
fn a_ping_within_a_message_is_answered_before_the_message_is_whole() {
    serve(echoing, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.write(frame(0x01, b"one ")).await.unwrap();
        client.write(frame(0x89, b"there?")).await.unwrap();
        let pong = client.hear().await.unwrap();
        assert_eq!(pong, Some(Heard::Pong(Bytes::from_static(b"there?"))));
        client.write(frame(0x80, b"two")).await.unwrap();
        assert_eq!(client.hear().await.unwrap(), Some(Heard::text("one two")));
    });
}

#[test]
fn a_request_that_is_no_handshake_is_told_what_is_missing() {
    serve(echoing, async |_| {
        let good = request("/", "");
        for (from, to, status, says) in [
            ("Upgrade: websocket\r\n", "", 426, "Upgrade: websocket"),
            (
                "Upgrade: websocket",
                "Upgrade: h2c",
                426,
                "Upgrade: websocket",
            ),
            (
                "Connection: Upgrade",
                "Connection: close",
                426,
                "Connection: upgrade",
            ),
            ("HTTP/1.1", "HTTP/1.0", 426, "HTTP/1.1"),
            ("Version: 13", "Version: 8", 426, "version 13"),
            ("Version: 13", "Version: 13, 8", 426, "version 13"),
            ("Sec-WebSocket-Version: 13\r\n", "", 426, "version 13"),
            (
                "dGhlIHNhbXBsZSBub25jZQ==",
                "c2hvcnQ=",
                400,
                "Sec-WebSocket-Key",
            ),
            ("dGhlIHNhbXBsZSBub25jZQ==", "", 400, "Sec-WebSocket-Key"),
            ("Host: a", "Host: a\r\nOrigin: https://b", 403, "origin"),
            ("Host: a", "Host: a\r\nOrigin: null", 403, "origin"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good);
            let mut client = Client::send(address(), &changed).await.unwrap();
            let answer = client.answer().await.unwrap();
            assert_eq!(answer.status, status, "{from} -> {to}: {answer:?}");
            assert!(answer.body.contains(says), "{from} -> {to}: {answer:?}");
            if status == 426 {
                assert_eq!(answer.field("upgrade"), Some("websocket"));
                assert_eq!(answer.field("sec-websocket-version"), Some("13"));
            }
        }
    });
}

#[test]
fn a_handshake_is_read_as_loosely_as_it_has_to_be() {
    serve(echoing, async |_| {
        let good = request("/", "");
        for (from, to) in [
            ("Upgrade: websocket", "upgrade: foo, WebSocket"),
            ("Connection: Upgrade", "Connection: keep-alive, uPGRADE"),
            ("Host: a", "Host: a\r\nOrigin: http://A"),
            (
                "Host: a",
                "Host: a\r\nSec-WebSocket-Extensions: permessage-deflate",
            ),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good);
            let mut client = Client::send(address(), &changed).await.unwrap();
            let answer = client.answer().await.unwrap();
            assert_eq!(answer.status, 101, "{to}");
            assert_eq!(answer.field("sec-websocket-extensions"), None);
            assert_eq!(answer.field("upgrade"), Some("websocket"));
            assert_eq!(answer.field("connection"), Some("upgrade"));
        }
    });
}

#[test]
fn the_first_subprotocol_of_ours_that_is_offered_is_agreed_on() {
    let app = || {
        let options = Options {
            protocols: vec!["v2.chat", "v1.chat"],
            ..Options::default()
        };
        at_root(options, echo)
    };
    serve(app, async |_| {
        for (offer, agreed) in [
            (
                "Sec-WebSocket-Protocol: v1.chat, v2.chat\r\n",
                Some("v2.chat"),
            ),
            (
                "Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Protocol: v1.chat\r\n",
                Some("v1.chat"),
            ),
            ("Sec-WebSocket-Protocol: soap, V1.chat\r\n", None),
            ("", None),
        ] {
            let sent = Client::send(address(), request("/", offer)).await;
            let answer = sent.unwrap().answer().await.unwrap();
            assert_eq!(
                (answer.status, answer.field("sec-websocket-protocol")),
                (101, agreed)
            );
        }
    });
}

#[test]
fn pages_of_other_origins_are_let_in_only_when_they_are_named() {
    for (origins, origin, status) in [
        (Origins::SameHost, "https://a", 101),
        (Origins::SameHost, "https://a:444", 403),
        (Origins::SameHost, "https://a.evil", 403),
        (Origins::These(vec!["https://b".into()]), "https://b", 101),
        (Origins::These(vec!["https://b".into()]), "http://b", 403),
        (Origins::These(vec!["https://b".into()]), "https://a", 403),
        (Origins::Any, "https://evil", 101),
    ] {
        let options = Options {
            origins: origins.clone(),
            ..Options::default()
        };
        serve(
            move || at_root(options.clone(), echo),
            async |_| {
                let asked = request("/", &format!("Origin: {origin}\r\n"));
                let answer = Client::send(address(), asked).await.unwrap().answer().await;
                assert_eq!(answer.unwrap().status, status, "{origins:?} {origin}");
            },
        );
    }
}

#[test]
fn a_handler_goes_on_in_the_context_of_its_request() {
    let app = || {
        at_root(Options::default(), async |socket: WebSocket| {
            let id = REQUEST_ID.get().unwrap().to_string();
            socket.send(id.clone()).await.unwrap();
            let of_child = spawn(async { REQUEST_ID.get().unwrap().to_string() });
            assert_eq!(of_child.await.unwrap(), id);
            socket.flush().await.unwrap();
        })
    };
    serve(app, async |_| {
        let request = request("/", "X-Request-Id: of-a-test\r\n");
        let mut client = Client::send(address(), request).await.unwrap();
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.field("x-request-id"), Some("of-a-test"));
        assert_eq!(client.hear().await.unwrap(), Some(Heard::text("of-a-test")));
        assert_eq!(client.hear_close().await, 1000);
    });
}

/// What a peer does wrong, what it is told, and what the handler.
#[test]
fn a_peer_at_fault_is_told_so_and_the_handler_learns_why() {
    use ReceiveError::{Frame, NotUtf8, Protocol, TooLong};
    let unmasked = vec![0x81, 0x02, b'h', b'i'];
    let table = [
        (unmasked, 1002, Frame(FrameError::Unmasked)),
        (frame(0xc1, b"a"), 1002, Frame(FrameError::ReservedBits)),
        (
            frame(0x83, b"a"),
            1002,
            Frame(FrameError::ReservedOpcode(3)),
        ),
        (
            frame(0x8f, b"a"),
            1002,
            Frame(FrameError::ReservedOpcode(15)),
        ),
        (
            frame(0x09, b"a"),
            1002,
            Frame(FrameError::FragmentedControl),
        ),
        (
            frame_announcing(0x89, 126, b""),
            1002,
            Frame(FrameError::ControlTooLong),
        ),
        (
            vec![0x82, 0xfe, 0, 5],
            1002,
            Frame(FrameError::MalformedLength),
        ),
        (frame(0x80, b"a"), 1002, Protocol),
        (
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
            Protocol,
        ),
        (frame(0x88, b"\x03"), 1002, Protocol),
        (frame(0x88, b"\x03\xe8\xff"), 1007, NotUtf8),
        (frame(0x81, b"\xc0\xaf"), 1007, NotUtf8),
        // Of a frame that has not come yet, but for the byte that is wrong.
        (frame_announcing(0x81, 1000, b"good \xff"), 1007, NotUtf8),
        (
            [frame(0x01, b"\xce"), frame(0x00, b"\xff")].concat(),
            1007,
            NotUtf8,
        ),
        (frame(0x81, b"half of it: \xce"), 1007, NotUtf8),
        // Of which only the header came.
        (
            frame_announcing(0x82, 2 * MIB, b""),
            1009,
            TooLong { limit: MIB },
        ),
    ];
    for (sent, code, why) in table {
        let (app, told) = telling(Options::default());
        serve(app, async |_| {
            let mut client = Client::open(address(), "/").await.unwrap();
            let header_only = [&sent[..], &[0; 4]].concat();
            let sent = match why {
                Frame(FrameError::MalformedLength) => &header_only,
                _ => &sent,
            };
            // A byte at a time, so that nothing depends on how they came.
            for byte in sent.chunks(1) {
                client.write(byte).await.unwrap();
                sleep(Duration::from_millis(1)).await;
                if !told.borrow().is_empty() {
                    break;
                }
            }
            assert_eq!(client.hear_close().await, code, "{why:?}");
        });
        assert_eq!(*told.borrow(), [Err(Some(why))]);
    }
}

#[test]
fn what_came_before_a_fault_is_still_heard() {
    let (app, told) = telling(Options::default());
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let bytes = [
            frame(0x81, b"good"),
            frame(0x82, b"too"),
            frame(0xf1, b"bad"),
        ]
        .concat();
        client.write(bytes).await.unwrap();
        assert_eq!(client.hear_close().await, 1002);
    });
    let fault = Err(Some(ReceiveError::Frame(FrameError::ReservedBits)));
    assert_eq!(
        *told.borrow(),
        [Ok(Message::text("good")), Ok(Message::binary("too")), fault]
    );
}

#[test]
fn fragments_count_together() {
    let options = Options {
        message_bytes_max: 100_000,
        ..Options::default()
    };
    let (app, told) = telling(options);
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.write(frame(0x02, &[0; 60_000])).await.unwrap();
        client.write(frame(0x00, &[0; 40_000])).await.unwrap();
        client.write(frame(0x80, b"")).await.unwrap();
        client.write(frame(0x02, &[0; 60_000])).await.unwrap();
        client.write(frame(0x00, &[0; 40_001])).await.unwrap();
        assert_eq!(client.hear_close().await, 1009);
    });
    let told = told.borrow();
    assert_eq!(told[0], Ok(Message::binary(vec![0; 100_000])));
    assert_eq!(told[1], Err(Some(ReceiveError::TooLong { limit: 100_000 })));
}

#[test]
fn closing_codes_are_answered_and_told() {
    for (sent, answered) in [
        (Some(1000), Some(1000)),
        (Some(1001), Some(1001)),
        (Some(3000), Some(3000)),
        (Some(4999), Some(4999)),
        (Some(999), Some(1002)),
        (Some(1005), Some(1002)),
        (Some(1006), Some(1002)),
        (Some(2999), Some(1002)),
        (Some(5000), Some(1002)),
        (None, None),
    ] {
        let codes: Told<Option<u16>> = Rc::default();
        let tell = codes.clone();
        let app = move || {
            let tell = tell.clone();
            at_root(Options::default(), async move |mut socket: WebSocket| {
                assert_eq!(socket.receive().await, None);
                assert_eq!(socket.receive().await, None);
                assert_eq!(socket.send("late").await, Err(SendError::Closed));
                let reason = socket.close_reason();
                tell.borrow_mut().push(reason.map(|reason| reason.code()));
            })
        };
        serve(app, async |_| {
            let mut client = Client::open(address(), "/").await.unwrap();
            let payload = sent.map_or(vec![], |code: u16| code.to_be_bytes().to_vec());
            client.write(frame(0x88, &payload)).await.unwrap();
            let heard = client.hear().await.unwrap();
            let Some(Heard::Close(frame)) = heard else {
                panic!("{heard:?}");
            };
            assert_eq!(frame.map(|frame| frame.code.into()), answered);
            assert_eq!(client.hear().await.unwrap(), None);
        });
        assert_eq!(*codes.borrow(), [answered], "{sent:?}");
    }
}

#[test]
fn a_handler_that_is_done_closes_behind_what_it_has_sent() {
    let app = || {
        at_root(Options::default(), async |socket: WebSocket| {
            socket.send("one").await.unwrap();
            socket.send(vec![7; 200_000]).await.unwrap();
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        assert_eq!(client.hear().await.unwrap(), Some(Heard::text("one")));
        let long = client.hear().await.unwrap();
        assert!(long == Some(Heard::binary(vec![7; 200_000])));
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn a_slow_reader_gets_all_that_was_sent_before_the_close() {
    let app = || {
        at_root(Options::default(), async |socket: WebSocket| {
            socket.send(vec![7; 2 * MIB]).await.unwrap();
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        // Longer than the close timeout, shorter than the write timeout.
        sleep(secs(20)).await;
        let long = client.hear().await.unwrap();
        assert!(long == Some(Heard::binary(vec![7; 2 * MIB])));
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn a_handler_that_panics_closes_with_1011() {
    let app = || {
        at_root(Options::default(), async |mut socket: WebSocket| {
            socket.receive().await;
            panic!("on purpose");
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.say("go").await.unwrap();
        assert_eq!(client.hear_close().await, 1011);
    });
}

#[test]
fn a_close_waits_for_the_peer_to_agree_but_not_for_ever() {
    let took: Told<(Duration, _)> = Rc::default();
    let tell = took.clone();
    let app = move || {
        let tell = tell.clone();
        at_root(Options::default(), async move |socket: WebSocket| {
            let began = time::now();
            let closed = socket.close(CloseReason::new(4000, "bye")).await;
            tell.borrow_mut().push((time::now() - began, closed));
        })
    };
    serve(app, async |_| {
        let mut agrees = Client::open(address(), "/").await.unwrap();
        assert_eq!(agrees.hear_close().await, 4000);
        let mut silent = Client::open(address(), "/").await.unwrap();
        // It goes on to speak, which is no answer.
        for _ in 0..20 {
            let _ = silent.write(frame(0x81, b"still there")).await;
            sleep(secs(1)).await;
        }
    });
    let took = took.borrow();
    let (agreed, late) = (&took[0], &took[1]);
    assert!(agreed.0 < secs(1), "{took:?}");
    let reason = agreed.1.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((reason.code(), reason.reason()), (4000, "bye"));
    assert_eq!(late.0.as_secs(), 10, "{took:?}");
    assert_eq!(late.1, Ok(None));
}

#[test]
fn a_silent_peer_is_asked_and_then_cut_off() {
    let (app, told) = telling(Options::default());
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let began = time::now();
        client.more().await.unwrap();
        assert_eq!((time::now() - began).as_secs(), 30, "a ping");
        let ended = client.more().await;
        assert!(ended.is_err(), "{ended:?}");
        assert_eq!((time::now() - began).as_secs(), 60);
    });
    assert_eq!(*told.borrow(), [Err(Some(ReceiveError::Silent))]);
}

#[test]
fn a_peer_that_answers_pings_stays_for_a_day() {
    let (app, told) = telling(Options::default());
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let mut pings = 0;
        let day = timeout(secs(86_400), async {
            loop {
                let heard = client.hear().await.unwrap();
                assert!(matches!(heard, Some(Heard::Ping(_))), "{heard:?}");
                pings += 1;
            }
        });
        assert!(day.await.is_err());
        assert_eq!(pings, 2880 - 1);
        assert!(told.borrow().is_empty());
        client.close(1000).await.unwrap();
        assert_eq!(client.hear_close().await, 1000);
    });
    assert_eq!(*told.borrow(), [Err(None)]);
}

#[test]
fn a_peer_that_does_not_read_is_cut_off_and_holds_a_bounded_number_of_messages() {
    let sent = Rc::new(Cell::new(0_usize));
    let count = sent.clone();
    let app = move || {
        let count = count.clone();
        at_root(Options::default(), async move |socket: WebSocket| {
            while socket.send(vec![1; 10_000]).await.is_ok() {
                count.set(count.get() + 1);
            }
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let came = sent.get();
        sleep(secs(25)).await;
        let held = sent.get() - came;
        // The response buffer, what the way between holds, and a message at each end.
        assert!(
            held * 10_000 < 64 * 1024 + 2 * 128 * 1024 + 20_000,
            "{held}"
        );
        sleep(secs(10)).await;
        // The rest is lost: the connection was reset.
        let mut last = Ok(());
        while last.is_ok() {
            last = client.more().await;
        }
        assert_ne!(last.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_handler_that_does_not_receive_makes_the_peer_wait_and_loses_nothing() {
    let app = || {
        at_root(Options::default(), async |mut socket: WebSocket| {
            sleep(secs(300)).await;
            let mut sum = 0;
            while let Some(Ok(message)) = socket.receive().await {
                sum += message.into_bytes().len();
            }
            assert_eq!(sum, 100 * 100_000);
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let began = time::now();
        for _ in 0..100 {
            client.write(frame(0x82, &[0; 100_000])).await.unwrap();
        }
        assert!(time::now() - began > secs(299), "somebody holds it all");
        client.close(1000).await.unwrap();
        // Pings may have come.
        while let Some(heard) = client.hear().await.unwrap() {
            assert!(
                matches!(heard, Heard::Ping(_) | Heard::Close(_)),
                "{heard:?}"
            );
        }
    });
}

#[test]
fn without_a_receiver_messages_are_thrown_away_and_pings_answered() {
    let app = || {
        at_root(Options::default(), async |socket: WebSocket| {
            let (sender, receiver) = socket.split();
            drop(receiver);
            sleep(secs(100)).await;
            sender.send("done").await.unwrap();
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        for _ in 0..50 {
            client.write(frame(0x82, &[0; 100_000])).await.unwrap();
        }
        client.write(frame(0x89, b"?")).await.unwrap();
        loop {
            match client.hear().await.unwrap() {
                Some(Heard::Ping(_)) => {}
                Some(Heard::Pong(payload)) => break assert_eq!(payload, "?"),
                other => panic!("{other:?}"),
            }
        }
        while let Some(Heard::Ping(_)) = client.hear().await.unwrap() {}
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn ends_in_tasks_of_their_own_speak_at_once() {
    let app = || {
        at_root(Options::default(), async |socket: WebSocket| {
            let (sender, mut receiver) = socket.split();
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let sender = sender.clone();
                    spawn(async move {
                        for n in 0..25 {
                            sender.send(format!("{writer} {n}")).await.unwrap();
                        }
                    })
                })
                .collect();
            let mut heard = 0;
            while heard < 100 {
                receiver.receive().await.unwrap().unwrap();
                heard += 1;
            }
            for writer in writers {
                writer.await.unwrap();
            }
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let mut next = [0; 4];
        for _ in 0..100 {
            client.say("a word").await.unwrap();
            let Some(Heard::Text(text)) = client.hear().await.unwrap() else {
                panic!("no text");
            };
            let (writer, n) = text.split_once(' ').unwrap();
            let writer: usize = writer.parse().unwrap();
            assert_eq!(n.parse(), Ok(next[writer]), "each writer's in its order");
            next[writer] += 1;
        }
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn receiving_that_is_given_up_loses_nothing() {
    let app = || {
        at_root(Options::default(), async |mut socket: WebSocket| {
            let mut heard = 0;
            while heard < 50 {
                let some = timeout(Duration::from_millis(3), socket.receive()).await;
                if let Ok(Some(Ok(message))) = some {
                    assert_eq!(message.as_text(), Some(&*heard.to_string()));
                    heard += 1;
                }
            }
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        for n in 0..50 {
            client.say(n.to_string()).await.unwrap();
            sleep(Duration::from_millis(n % 7)).await;
        }
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn of_a_message_whose_sending_was_given_up_nothing_is_sent() {
    let app = || {
        at_root(Options::default(), async |socket: WebSocket| {
            let mut taken = 0;
            // The peer does not read for a while.
            for _ in 0..200 {
                let sent = timeout(Duration::from_millis(10), socket.send(vec![1; 10_000])).await;
                taken += usize::from(sent.is_ok());
            }
            assert!(taken < 200);
            socket.send(taken.to_string()).await.unwrap();
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        sleep(secs(5)).await;
        let mut came = 0;
        loop {
            match client.hear().await.unwrap() {
                Some(Heard::Binary(message)) => {
                    assert_eq!(message.len(), 10_000);
                    came += 1;
                }
                Some(Heard::Text(taken)) => break assert_eq!(taken.as_str(), came.to_string()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(client.hear_close().await, 1000);
    });
}

#[test]
fn a_reset_and_a_half_close_in_the_middle_of_a_message_are_told() {
    for resets in [true, false] {
        let (app, told) = telling(Options::default());
        serve(app, async |_| {
            let mut client = Client::open(address(), "/").await.unwrap();
            client.write(frame(0x81, b"whole")).await.unwrap();
            client
                .write(frame_announcing(0x81, 100, b"half"))
                .await
                .unwrap();
            sleep(secs(1)).await;
            match resets {
                true => sim::net::reset(client.stream.local_addr().unwrap()),
                false => client.stream.shutdown(std::net::Shutdown::Write).unwrap(),
            }
            sleep(secs(1)).await;
        });
        let gone = Err(Some(ReceiveError::Disconnected));
        assert_eq!(*told.borrow(), [Ok(Message::text("whole")), gone]);
    }
}

#[test]
fn a_handler_that_does_not_look_is_stopped_when_its_connection_has_long_ended() {
    let dropped = Rc::new(Cell::new(None));
    struct Guard(Rc<Cell<Option<Duration>>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.set(Some(sim::elapsed()));
        }
    }
    let tell = dropped.clone();
    let app = move || {
        let tell = tell.clone();
        at_root(Options::default(), async move |socket: WebSocket| {
            let _guard = Guard(tell);
            let _socket = socket;
            pending::<()>().await;
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.close(1000).await.unwrap();
        assert_eq!(client.hear_close().await, 1000);
        sleep(secs(60)).await;
        let after = dropped.get().expect("it was dropped");
        assert_eq!(
            after.as_secs(),
            Timeouts::default().handler.unwrap().as_secs()
        );
    });
}

#[test]
fn a_drain_closes_with_1001_and_does_not_wait_for_those_who_do_not_agree() {
    for (agrees, at_most) in [(true, secs(1)), (false, secs(11))] {
        let (app, told) = telling(Options::default());
        let clients = RefCell::new(Vec::new());
        let report = serve(app, async |shutdown| {
            for _ in 0..3 {
                let mut client = Client::open(address(), "/").await.unwrap();
                clients.borrow_mut().push(spawn(async move {
                    match agrees {
                        true => assert_eq!(client.hear_close().await, 1001),
                        false => while client.more().await.is_ok() {},
                    }
                }));
            }
            sleep(secs(5)).await;
            shutdown.drain();
            for client in clients.take() {
                client.await.unwrap();
            }
        });
        assert_eq!((report.open, report.forced), (3, 0));
        assert!(report.took <= at_most, "{report:?}");
        assert_eq!(*told.borrow(), [Err(None), Err(None), Err(None)]);
    }
}

#[test]
fn a_hundred_sockets_are_idle_for_ten_minutes() {
    serve(echoing, async |_| {
        let clients: Vec<_> = (0..100)
            .map(|_| {
                spawn(async {
                    let mut client = Client::open(address(), "/").await.unwrap();
                    let while_idle = timeout(secs(600), async {
                        loop {
                            let heard = client.hear().await.unwrap();
                            assert!(matches!(heard, Some(Heard::Ping(_))), "{heard:?}");
                        }
                    });
                    assert!(while_idle.await.is_err());
                    client.say("still here").await.unwrap();
                    let heard = client.hear().await.unwrap();
                    assert_eq!(heard, Some(Heard::text("still here")));
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn under_faults_every_echo_is_right_or_a_fault_explains_its_absence() {
    let (came, gone) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let world = Builder::new().faults(Faults::rough());
    for seed in 0..60 {
        let (came, gone) = (came.clone(), gone.clone());
        let report = serve_in(&world, seed, echoing, async |_| {
            let clients: Vec<_> = (0..6)
                .map(|n| {
                    let (came, gone) = (came.clone(), gone.clone());
                    spawn(async move {
                        match converse(fastrand::Rng::with_seed(seed * 100 + n), &came).await {
                            Ok(()) => {}
                            Err(error) => {
                                gone.set(gone.get() + 1);
                                assert!(!sim::net::broken().is_empty(), "no fault: {error}");
                            }
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
        });
        assert_eq!(report.forced, 0, "seed {seed}: {report:?}");
    }
    println!(
        "{} echoes, {} conversations broken off",
        came.get(),
        gone.get()
    );
    assert!(came.get() > 500 && gone.get() > 0);
}

/// Sends messages of all sizes, in pieces, and hears them again.
async fn converse(mut random: fastrand::Rng, came: &Cell<u32>) -> std::io::Result<()> {
    let mut client = Client::open(address(), "/").await?;
    for _ in 0..8 {
        let largest = 1 << random.u32(0..18);
        let mut message = vec![0; random.usize(0..largest)];
        random.fill(&mut message);
        let (first, second) = message.split_at(random.usize(0..=message.len()));
        client.write(frame(0x02, first)).await?;
        sleep(Duration::from_millis(random.u64(0..200))).await;
        client.write(frame(0x80, second)).await?;
        loop {
            match client.hear().await? {
                Some(Heard::Binary(heard)) => break assert!(heard == message, "a wrong echo"),
                Some(Heard::Ping(_)) => {}
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                other => panic!("{other:?}"),
            }
        }
        came.set(came.get() + 1);
    }
    client.close(1000).await?;
    while client.hear().await?.is_some() {}
    Ok(())
}

#[test]
fn an_answer_that_was_not_asked_for_is_a_fault_of_the_handlers() {
    // A request kept by one handler is no handshake of another's.
    let app = || {
        let kept: Rc<RefCell<Option<Request>>> = Rc::default();
        let keeper = kept.clone();
        Router::new()
            .get("/", move |request: Request| {
                keeper.replace(Some(request));
                async { "kept" }
            })
            .get("/other", move |_| {
                let request = kept.take().unwrap();
                let response: Response = websocket::accept(&request, echo);
                async { response }
            })
    };
    serve(app, async |_| {
        let mut client = Client::send(address(), request("/", "")).await.unwrap();
        assert_eq!(client.answer().await.unwrap().status, 200);
        let other = "GET /other HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = Client::send(address(), other).await.unwrap();
        assert_eq!(client.answer().await.unwrap().status, 500);
    });
}

#[test]
fn a_message_that_trickles_is_cut_off_however_often_something_comes() {
    let (app, told) = telling(Options::default());
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let began = time::now();
        client
            .write(frame_announcing(0x82, MIB, b"some"))
            .await
            .unwrap();
        let mut sent = Ok(());
        while sent.is_ok() && told.borrow().is_empty() {
            sleep(secs(1)).await;
            sent = client.write(&[0; 100]).await;
        }
        // 60 s, and one for each 240 bytes that came by then: 60 + t * 100 / 240 = t.
        let took = (time::now() - began).as_secs();
        assert!((102..106).contains(&took), "{took}");
        assert_eq!(client.hear_close().await, 1008);
    });
    assert_eq!(*told.borrow(), [Err(Some(ReceiveError::TooSlow))]);
}

#[test]
fn a_message_that_comes_at_the_least_rate_takes_its_time() {
    let (app, told) = telling(Options::default());
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        // In frames, between which nothing is on its way of a frame.
        client.write(frame(0x02, &[0; 300])).await.unwrap();
        for _ in 0..400 {
            sleep(secs(1)).await;
            client.write(frame(0x00, &[0; 300])).await.unwrap();
        }
        client.write(frame(0x80, b"")).await.unwrap();
        // Between messages there is no hurry, as long as it answers pings.
        let quiet = timeout(secs(500), async {
            while let Some(Heard::Ping(_)) = client.hear().await.unwrap() {}
        });
        assert!(quiet.await.is_err());
        client.close(1000).await.unwrap();
    });
    let whole = Message::binary(vec![0; 401 * 300]);
    assert!(*told.borrow() == [Ok(whole), Err(None)]);
}

#[test]
fn a_message_that_nobody_takes_is_not_the_peers_delay() {
    let app = || {
        at_root(Options::default(), async |mut socket: WebSocket| {
            sleep(secs(300)).await;
            while let Some(Ok(message)) = socket.receive().await {
                assert_eq!(message.into_bytes().len(), 100);
                socket.send("taken").await.unwrap();
            }
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.write(frame(0x82, &[0; 100])).await.unwrap();
        // The second is half there when the first waits for its handler.
        let second = frame(0x82, &[0; 100]);
        client.write(&second[..50]).await.unwrap();
        sleep(secs(200)).await;
        client.write(&second[50..]).await.unwrap();
        for _ in 0..2 {
            while let Some(Heard::Ping(_)) = client.hear().await.unwrap() {}
        }
        client.close(1000).await.unwrap();
    });
}

#[test]
fn time_in_which_the_loop_was_stuck_is_not_the_peers() {
    let app = || {
        let options = Options {
            ping_after: None,
            idle_timeout: Some(secs(5)),
            close_timeout: secs(5),
            ..Options::default()
        };
        at_root(options, async |mut socket: WebSocket| {
            socket.receive().await;
            let (sender, _receiver) = socket.split();
            let _ = sender.close(CloseReason::new(4000, "bye")).await;
        })
        .get("/burn", |_| async {
            sim::burn(secs(30));
            "burnt"
        })
    };
    let burn = async || {
        let ask = "GET /burn HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut burner = Client::send(address(), ask).await.unwrap();
        assert_eq!(burner.answer().await.unwrap().status, 200);
    };
    serve(app, async |_| {
        // Silent, and then it is not.
        let mut client = Client::open(address(), "/").await.unwrap();
        sleep(secs(2)).await;
        burn().await;
        sleep(secs(2)).await;
        client.say("there").await.unwrap();
        // It is to agree to a close, and has half of its time left.
        sleep(secs(2)).await;
        burn().await;
        sleep(secs(2)).await;
        assert_eq!(client.hear_close().await, 4000);

        let mut silent = Client::open(address(), "/").await.unwrap();
        let began = time::now();
        burn().await;
        assert!(silent.more().await.is_err());
        let took = (time::now() - began).as_secs();
        assert!((34..36).contains(&took), "{took}");
    });
}

#[test]
fn a_peer_that_takes_a_byte_now_and_then_is_cut_off() {
    let ended: Told<ReceiveError> = Rc::default();
    let tell = ended.clone();
    let app = move || {
        let tell = tell.clone();
        at_root(Options::default(), async move |mut socket: WebSocket| {
            while socket.send(vec![1; 10_000]).await.is_ok() {}
            if let Some(Err(error)) = socket.receive().await {
                tell.borrow_mut().push(error);
            }
        })
    };
    serve(app, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        let mut buffer = [0; 2000];
        let mut seconds = 0;
        while ended.borrow().is_empty() {
            sleep(secs(20)).await;
            seconds += 20;
            assert!(seconds < 400, "100 bytes a second are enough");
            let _ = client.stream.read(&mut buffer).await;
        }
        assert!(seconds > 30, "it does read");
    });
    assert_eq!(*ended.borrow(), [ReceiveError::DoesNotRead]);
}

/// The reasons in which one connection, and its request, end.
fn reasons_of(
    handler: &(impl AsyncFnOnce(WebSocket) + Clone + 'static),
    test: impl AsyncFnOnce(&Shutdown),
) -> (Reason, Reason) {
    Builder::new().run(1, async {
        let shutdown = Shutdown::new();
        let server = Server::bind("10.0.0.1:80").unwrap();
        let ledger = server.ledger().clone();
        let app = || at_root(Options::default(), handler.clone());
        let serving = server.spawn(app, &shutdown).unwrap();
        test(&shutdown).await;
        let seen = ledger.snapshot();
        assert!(seen.connections.in_flight() <= 1);
        assert_eq!(seen.requests.in_flight(), seen.connections.in_flight());
        shutdown.drain();
        serving.wait().await;
        let seen = ledger.snapshot();
        let one = |tally: monoloop::ledger::Tally| {
            let mut ended = tally.ended().filter(|(_, count)| *count > 0);
            let (reason, count) = ended.next().unwrap();
            assert_eq!((count, ended.next(), tally.in_flight()), (1, None, 0));
            reason
        };
        (one(seen.connections), one(seen.requests))
    })
}

#[test]
fn the_ledger_knows_how_a_websocket_ended() {
    let both = |reason| (reason, reason);
    let orderly = reasons_of(&echo, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.close(1000).await.unwrap();
        client.hear_close().await;
    });
    assert_eq!(orderly, both(Reason::Upgraded));

    let drained = reasons_of(&echo, async |shutdown| {
        let mut client = Client::open(address(), "/").await.unwrap();
        sleep(secs(1)).await;
        shutdown.drain();
        client.hear_close().await;
    });
    assert_eq!(drained, both(Reason::Upgraded));

    let gone = reasons_of(&echo, async |_| {
        drop(Client::open(address(), "/").await.unwrap());
    });
    assert_eq!(gone, both(Reason::ClientClosed));

    let panics = async |mut socket: WebSocket| {
        socket.receive().await;
        panic!("on purpose");
    };
    let panicked = reasons_of(&panics, async |_| {
        let mut client = Client::open(address(), "/").await.unwrap();
        client.say("go").await.unwrap();
        assert_eq!(client.hear_close().await, 1011);
    });
    assert_eq!(panicked, both(Reason::Panic));

    let silent = reasons_of(&echo, async |_| {
        let _client = Client::open(address(), "/").await.unwrap();
        sleep(secs(100)).await;
    });
    assert_eq!(silent, both(Reason::IdleTimeout));

    for (sent, reason) in [
        (frame(0x83, b"a"), Reason::ParseError),
        (frame_announcing(0x82, 2 * MIB, b""), Reason::Limit),
        (frame_announcing(0x82, 1000, b"half"), Reason::TooSlow),
    ] {
        let seen = reasons_of(&echo, async |_| {
            let mut client = Client::open(address(), "/").await.unwrap();
            client.write(sent).await.unwrap();
            // It says that it is there, but not enough.
            let heard = timeout(secs(200), async {
                while let Some(Heard::Ping(_)) = client.hear().await.unwrap() {}
            });
            heard.await.unwrap();
        });
        assert_eq!(seen, both(reason));
    }

    let talks = async |socket: WebSocket| {
        while socket.send(vec![1; 10_000]).await.is_ok() {}
    };
    let reads_not = reasons_of(&talks, async |_| {
        let _client = Client::open(address(), "/").await.unwrap();
        sleep(secs(100)).await;
    });
    assert_eq!(reads_not, both(Reason::WriteTimeout));
}
