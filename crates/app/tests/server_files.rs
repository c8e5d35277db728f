//! Static files: nothing but what lies below the root, told about and cut into parts as RFC 9110
//! has it, and no faster than peers read.

#![cfg(all(feature = "files", unix))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod server_common;

use http::Method;
use monoloop::sim::{Builder, Faults};
use monoloop::{
    Files, HeaderValue, Router, Server, Shutdown, Symlinks, blocking_stats, spawn, time,
};
use server_common::{
    Answer, Client, Site, get, patient_server, quiet, serve, serve_in_real_time, serve_with,
    server, turns,
};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const LARGE: usize = 1_000_000;

/// A root with files in it, and a secret beside it.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Disk {
        let disk = Disk {
            directory: TempDir::new().unwrap(),
        };
        disk.write("root/hello.txt", b"hello\n");
        disk.write("root/empty.txt", b"");
        disk.write("root/digits", b"0123456789");
        disk.write("root/index.html", b"<p>root");
        disk.write("root/sub/index.html", b"<p>sub");
        disk.write("root/bare/other.txt", b"no index here");
        disk.write("root/large.bin", &pattern(LARGE));
        disk.write("root/.env", b"secret");
        disk.write("root/.git/config", b"secret");
        disk.write("root/.well-known/security.txt", b"contact");
        disk.write("secret", b"secret");
        symlink("../secret", disk.at("root/out")).unwrap();
        symlink("hello.txt", disk.at("root/link")).unwrap();
        disk
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        // Old enough not to change without its date changing.
        set_date(&path, SystemTime::now() - Duration::from_secs(86_400));
    }

    fn files(&self) -> Files {
        Files::new(self.at("root"))
    }

    /// Below `/s`, and everywhere else as the fallback.
    fn router(&self) -> Router {
        let files = self.files();
        Router::new().files("/s", files.clone()).fallback(files)
    }
}

fn set_date(path: &Path, date: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(date).unwrap();
}

/// So many bytes, no part of which is like another.
fn pattern(bytes: usize) -> Vec<u8> {
    let mut pattern = vec![0; bytes];
    fastrand::Rng::with_seed(bytes as u64).fill(&mut pattern);
    pattern
}

/// A request with fields of its own.
fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

impl Client {
    async fn get_with(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(request("GET", path, fields)).await;
        self.answer().await
    }
}

async fn get_with(site: &Site, path: &str, fields: &[(&str, &str)]) -> Answer {
    site.connect().await.get_with(path, fields).await
}

#[test]
fn a_file_comes_with_its_type_length_date_and_tag() {
    let disk = Disk::new();
    let files = disk
        .files()
        .cache_control(HeaderValue::from_static("max-age=60"))
        .content_type("bin", HeaderValue::from_static("application/x-own"));
    serve(
        || Router::new().files("/s", files.clone()),
        async |site| {
            let mut client = site.connect().await;
            let answer = client.get("/s/hello.txt").await;
            answer.assert_kept(200);
            assert_eq!(answer.text(), "hello\n");
            let modified = disk.at("root/hello.txt").metadata().unwrap();
            let date = httpdate(modified.modified().unwrap());
            for (name, value) in [
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", "6"),
                ("accept-ranges", "bytes"),
                ("last-modified", &*date),
                ("cache-control", "max-age=60"),
            ] {
                assert_eq!(answer.field(name), Some(value), "{name}");
            }
            let tag = answer.field("etag").unwrap().to_owned();
            assert!(tag.starts_with('"') && tag.ends_with("-6\""), "{tag}");

            client.send(request("HEAD", "/s/hello.txt", &[])).await;
            let head = client.answer_to(&Method::HEAD).await;
            head.assert_kept(200);
            for name in [
                "content-type",
                "content-length",
                "accept-ranges",
                "last-modified",
                "etag",
            ] {
                assert_eq!(head.field(name), answer.field(name), "{name}");
            }

            let empty = client.get("/s/empty.txt").await;
            empty.assert_kept(200);
            assert_eq!(
                (empty.text(), empty.field("content-length")),
                ("", Some("0"))
            );

            let large = client.get("/s/large.bin").await;
            large.assert_kept(200);
            assert!(large.body == pattern(LARGE));
            assert_eq!(large.field("content-type"), Some("application/x-own"));
            assert_eq!(large.field("content-length"), Some("1000000"));
            client.send(request("HEAD", "/s/large.bin", &[])).await;
            let head = client.answer_to(&Method::HEAD).await;
            head.assert_kept(200);
            assert_eq!(head.field("content-length"), Some("1000000"));
        },
    );
}

fn httpdate(date: SystemTime) -> String {
    // The reader of dates is independent of what wrote this one in the server.
    let secs = date
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let (days, rest) = (secs / 86_400, secs % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    // Days to a date, after Howard Hinnant's chrono-compatible algorithms.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let names = [
        "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb",
    ];
    let year = year + era * 400 + u64::from(month >= 10);
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    let month = names[month as usize];
    format!("{weekday}, {day:02} {month} {year} {h:02}:{m:02}:{s:02} GMT")
}

#[test]
fn nothing_but_what_lies_below_the_root_is_served() {
    let disk = Disk::new();
    let to_secret = disk.at("secret").display().to_string();
    serve(
        || disk.router(),
        async |site| {
            let up = "../".repeat(12);
            let encoded_up = "%2e%2e%2f".repeat(12);
            for path in [
                "/s/../secret",
                "/s/sub/../../secret",
                "/s/%2e%2e/secret",
                "/s/..%2fsecret",
                "/s/%2e%2e%2fsecret",
                "/s/..%5csecret",
                "/s/%252e%252e/secret",
                "/s/..;/secret",
                "/s/out",
                "/s/link",
                "/s/.env",
                "/s/%2eenv",
                "/s/.git/config",
                "/s/hello.txt/",
                "/s/hello.txt/x",
                "/s/hello.txt%00",
                "/s/hello.txt%00.html",
                "/s/hello.txt%2f",
                "/s/nothing",
                "/s//hello.txt",
                "/s/sub//index.html",
                "/s/./hello.txt",
                "/s/%ff",
                "/s/bare/",
                &format!("/s/{up}etc/passwd"),
                &format!("/s/{encoded_up}etc/passwd"),
                &format!("/s/{to_secret}"),
                &to_secret,
                &format!("/{to_secret}"),
                "/../secret",
                "//secret",
                "/out",
                &format!("/s/{}", "a/".repeat(1000)),
                &format!("/s/{}", "a".repeat(300)),
            ] {
                let answer = site.get(path).await;
                assert_eq!(answer.status, 404, "{path}");
                assert!(!answer.text().contains("secret"), "{path}");
            }
            let shown = site.get("/.well-known/security.txt").await;
            assert_eq!((shown.status, shown.text()), (200, "contact"));
        },
    );
}

#[test]
fn links_and_hidden_files_are_served_to_those_who_want_them() {
    let disk = Disk::new();
    let within = disk.files().symlinks(Symlinks::WithinRoot).dotfiles(true);
    let all = disk.files().symlinks(Symlinks::Follow);
    let router = || {
        Router::new()
            .files("/within", within.clone())
            .files("/all", all.clone())
    };
    serve(router, async |site| {
        for (path, status, text) in [
            ("/within/link", 200, "hello\n"),
            ("/within/out", 404, "Not Found\n"),
            ("/within/.env", 200, "secret"),
            ("/all/link", 200, "hello\n"),
            ("/all/out", 200, "secret"),
            ("/all/.env", 404, "Not Found\n"),
            ("/all/../secret", 404, "Not Found\n"),
        ] {
            let answer = site.get(path).await;
            assert_eq!((answer.status, answer.text()), (status, text), "{path}");
        }
    });
}

#[test]
fn a_directory_is_its_index_behind_a_slash() {
    let disk = Disk::new();
    serve(
        || disk.router(),
        async |site| {
            for (path, text) in [
                ("/s/", "<p>root"),
                ("/s/sub/", "<p>sub"),
                ("/", "<p>root"),
                ("/sub/", "<p>sub"),
                ("/s/sub/index.html", "<p>sub"),
            ] {
                let answer = site.get(path).await;
                assert_eq!((answer.status, answer.text()), (200, text), "{path}");
                let content_type = answer.field("content-type");
                assert_eq!(content_type, Some("text/html; charset=utf-8"), "{path}");
            }
            for (path, location) in [
                ("/s", Some("./s/")),
                ("/s?a=b", Some("./s/?a=b")),
                ("/s/sub", Some("./sub/")),
                ("/s/sub?q=//evil.example", Some("./sub/?q=//evil.example")),
                ("/sub", Some("./sub/")),
                ("/s/s%75b", Some("./s%75b/")),
                ("//sub", None),
                ("//evil.example/..", None),
                ("//evil.example/%2e%2e", None),
            ] {
                let answer = site.get(path).await;
                let status = if location.is_some() { 301 } else { 404 };
                let found = (answer.status, answer.field("location"));
                assert_eq!(found, (status, location), "{path}");
            }
        },
    );
}

#[test]
fn other_methods_are_told_which_there_are() {
    let disk = Disk::new();
    serve(
        || disk.router(),
        async |site| {
            for (path, allow) in [
                ("/s/hello.txt", "GET, HEAD, OPTIONS"),
                ("/hello.txt", "GET, HEAD"),
                ("/nothing", "GET, HEAD"),
            ] {
                for method in ["POST", "PUT", "DELETE", "PATCH"] {
                    let mut client = site.send(request(method, path, &[])).await;
                    let answer = client.answer().await;
                    let found = (answer.status, answer.field("allow"));
                    assert_eq!(found, (405, Some(allow)), "{method} {path}");
                }
            }
        },
    );
}

#[test]
fn ranges_are_cut_out_of_the_file() {
    let disk = Disk::new();
    serve(
        || disk.router(),
        async |site| {
            let mut client = site.connect().await;
            for (range, status, body, told) in [
                ("bytes=0-3", 206, "0123", Some("bytes 0-3/10")),
                ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
                ("bytes=-2", 206, "89", Some("bytes 8-9/10")),
                ("bytes=9-100", 206, "9", Some("bytes 9-9/10")),
                ("bytes=0-", 206, "0123456789", Some("bytes 0-9/10")),
                ("bytes=5-5,0-1", 206, "012345", Some("bytes 0-5/10")),
                ("bytes=2-1", 200, "0123456789", None),
                ("pages=1-2", 200, "0123456789", None),
                (
                    "bytes=10-",
                    416,
                    "Range Not Satisfiable\n",
                    Some("bytes */10"),
                ),
                (
                    "bytes=-0",
                    416,
                    "Range Not Satisfiable\n",
                    Some("bytes */10"),
                ),
            ] {
                let answer = client.get_with("/s/digits", &[("range", range)]).await;
                answer.assert_kept(status);
                assert_eq!(
                    (answer.text(), answer.field("content-range")),
                    (body, told),
                    "{range}"
                );
            }
            let many: Vec<_> = (0..1300).map(|n| format!("{n}-{n}")).collect();
            let range = format!("bytes={}", many.join(","));
            let answer = client.get_with("/s/digits", &[("range", &range)]).await;
            answer.assert_kept(200);

            let range = [("range", "bytes=0-3")];
            client.send(request("HEAD", "/s/digits", &range)).await;
            let head = client.answer_to(&Method::HEAD).await;
            let found = (head.status, head.field("content-length"));
            assert_eq!(found, (200, Some("10")), "only GET has ranges");

            let empty = client.get_with("/s/empty.txt", &range).await;
            empty.assert_kept(200);
        },
    );
}

/// The parts of a multipart answer: where each is, and its bytes.
fn parts_of(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let content_type = answer.field("content-type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let mut parts = Vec::new();
    let mut rest = &answer.body[..];
    loop {
        let start = format!("--{boundary}");
        rest = rest.strip_prefix(start.as_bytes()).expect("a boundary");
        if rest == b"--\r\n" {
            return parts;
        }
        let head_len = rest.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let head = std::str::from_utf8(&rest[..head_len]).unwrap();
        let lines: Vec<_> = head.trim().lines().collect();
        let [content_type, range] = lines[..] else {
            panic!("two fields: {head:?}");
        };
        assert_eq!(content_type, "content-type: application/octet-stream");
        let range = range.strip_prefix("content-range: ").unwrap();
        rest = &rest[head_len..];
        let end = format!("\r\n--{boundary}");
        let found = rest
            .windows(end.len())
            .position(|found| found == end.as_bytes());
        let len = found.expect("a part ends with a boundary");
        parts.push((range.to_owned(), rest[..len].to_vec()));
        rest = &rest[len + 2..];
    }
}

#[test]
fn several_ranges_come_as_parts() {
    let disk = Disk::new();
    let bytes = pattern(LARGE);
    serve(
        || disk.router(),
        async |site| {
            let mut client = site.connect().await;
            let range = [("range", "bytes=500000-699999, 0-0, -1, 100-199, 150-299")];
            let answer = client.get_with("/s/large.bin", &range).await;
            answer.assert_kept(206);
            assert_eq!(answer.field("content-range"), None, "each part has its own");
            assert_eq!(
                answer.field("content-length"),
                Some(&*answer.body.len().to_string())
            );
            let expected = [500_000..700_000, 0..1, 999_999..1_000_000, 100..300].map(|range| {
                let told = format!("bytes {}-{}/1000000", range.start, range.end - 1);
                (told, bytes[range].to_vec())
            });
            assert!(parts_of(&answer) == expected);
        },
    );
}

/// Against cutting the bytes here.
#[test]
fn any_ranges_come_byte_by_byte() {
    let disk = Disk::new();
    let bytes = pattern(LARGE);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    serve(
        || disk.router(),
        async |site| {
            let mut client = site.connect().await;
            for _ in 0..200 {
                // Far apart, so that none of them are joined.
                let mut at = 0;
                let mut asked = Vec::new();
                for _ in 0..random.usize(1..5) {
                    let first = at + random.usize(100..100_000);
                    let last = first + random.usize(0..130_000);
                    asked.push(first..last + 1);
                    at = last;
                }
                random.shuffle(&mut asked);
                let specs = asked
                    .iter()
                    .map(|range| format!("{}-{}", range.start, range.end - 1));
                let value = format!("bytes={}", specs.collect::<Vec<_>>().join(","));
                let answer = client.get_with("/s/large.bin", &[("range", &value)]).await;
                answer.assert_kept(206);
                let expected: Vec<_> = asked
                    .iter()
                    .map(|range| {
                        let told = format!("bytes {}-{}/1000000", range.start, range.end - 1);
                        (told, bytes[range.clone()].to_vec())
                    })
                    .collect();
                let found = match asked.len() {
                    1 => {
                        let told = answer.field("content-range").unwrap().to_owned();
                        vec![(told, answer.body.clone())]
                    }
                    _ => parts_of(&answer),
                };
                assert!(found == expected, "{value}");
            }
        },
    );
}

#[test]
fn who_has_the_file_is_told_so() {
    let disk = Disk::new();
    let files = disk
        .files()
        .cache_control(HeaderValue::from_static("no-cache"));
    serve(
        || Router::new().files("/s", files.clone()),
        async |site| {
            let first = site.get("/s/digits").await;
            let tag = first.field("etag").unwrap();
            let date = first.field("last-modified").unwrap();
            for fields in [
                &[("if-none-match", tag)][..],
                &[("if-none-match", "\"x\""), ("if-none-match", tag)],
                &[("if-modified-since", date)],
                &[("if-none-match", tag), ("range", "bytes=0-1")],
            ] {
                let answer = get_with(site, "/s/digits", fields).await;
                answer.assert_kept(304);
                for name in ["etag", "last-modified", "cache-control"] {
                    assert_eq!(answer.field(name), first.field(name), "{name}");
                }
                assert_eq!(answer.field("content-length"), None);
            }
            for (fields, status) in [
                (&[("if-match", "\"x\"")][..], 412),
                (
                    &[("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")],
                    412,
                ),
                (
                    &[("if-none-match", "\"x\""), ("if-modified-since", date)],
                    200,
                ),
                (&[("if-range", tag), ("range", "bytes=0-1")], 206),
                (&[("if-range", date), ("range", "bytes=0-1")], 206),
                (&[("if-range", "\"x\""), ("range", "bytes=0-1")], 200),
                (&[("if-range", "\"x\""), ("range", "bytes=99-")], 200),
            ] {
                let answer = get_with(site, "/s/digits", fields).await;
                answer.assert_kept(status);
            }
            let fields = [("if-match", "\"x\"")];
            let missing = get_with(site, "/s/nothing", &fields).await;
            assert_eq!(missing.status, 404, "conditions are about what is there");

            disk.write("root/digits", b"9876543210");
            set_date(
                &disk.at("root/digits"),
                SystemTime::now() - Duration::from_secs(3600),
            );
            let changed = get_with(site, "/s/digits", &[("if-none-match", tag)]).await;
            assert_eq!((changed.status, changed.text()), (200, "9876543210"));
            let resumed = [("if-range", tag), ("range", "bytes=5-")];
            let whole = get_with(site, "/s/digits", &resumed).await;
            assert_eq!((whole.status, whole.text()), (200, "9876543210"));
        },
    );
}

#[test]
fn a_small_file_takes_one_job_and_a_large_one_no_more_than_its_pieces() {
    let disk = Disk::new();
    serve(
        || disk.router(),
        async |site| {
            let mut client = site.connect().await;
            for (path, jobs) in [
                ("/s/hello.txt", 1),
                ("/s/nothing", 1),
                ("/s/sub", 1),
                ("/s/../secret", 0),
                ("/s/large.bin", LARGE.div_ceil(64 * 1024) as u64),
            ] {
                let before = blocking_stats().finished;
                client.get(path).await;
                // A job counts once its thread has taken note, a moment after its result.
                while blocking_stats().running > 0 {
                    turns(1).await;
                }
                assert_eq!(blocking_stats().finished - before, jobs, "{path}");
            }
        },
    );
}

#[test]
fn a_peer_that_does_not_read_has_no_more_read_for_it() {
    let disk = Disk::new();
    let len = 64 * 1024 * 1024;
    File::create(disk.at("root/huge"))
        .unwrap()
        .set_len(len)
        .unwrap();
    serve_in_real_time(
        &patient_server(),
        || disk.router(),
        async |site| {
            let mut client = site.send(get("/s/huge")).await;
            let mut before = u64::MAX;
            // Until the socket's buffers are full.
            while before != blocking_stats().finished || blocking_stats().running > 0 {
                before = blocking_stats().finished;
                time::sleep(Duration::from_millis(200)).await;
            }
            assert!(before < 500, "{before} of 1024 pieces were read for nobody");
            let answer = client.answer().await;
            assert!(answer.is_whole && answer.body.len() as u64 == len);
        },
    );
}

#[test]
fn a_file_that_becomes_shorter_is_broken_off_and_not_filled_up() {
    let disk = Disk::new();
    let file = File::create(disk.at("root/huge")).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    serve_in_real_time(
        &patient_server(),
        || disk.router(),
        async |site| {
            let mut client = site.send(get("/s/huge")).await;
            client.take(100).await;
            file.set_len(16 * 1024 * 1024).unwrap();
            let rest = client.rest_until_broken().await;
            assert!(rest < 64 * 1024 * 1024, "{rest}");
        },
    );
}

impl Client {
    /// How many bytes come until the server closes, in order or not.
    async fn rest_until_broken(&mut self) -> usize {
        let (mut count, mut buffer) = (0, vec![0; 65_536]);
        loop {
            match self.read_result(&mut buffer).await {
                Ok(0) | Err(_) => return count,
                Ok(more) => count += more,
            }
        }
    }
}

#[test]
fn a_file_that_grows_is_cut_where_its_announced_length_ends() {
    let disk = Disk::new();
    let mut file = File::create(disk.at("root/huge")).unwrap();
    let len = 32 * 1024 * 1024;
    file.set_len(len).unwrap();
    serve_in_real_time(
        &patient_server(),
        || disk.router(),
        async |site| {
            let mut client = site.send(get("/s/huge")).await;
            quiet().await;
            file.set_len(2 * len).unwrap();
            file.write_all(b"new").unwrap();
            client.answer().await.assert_kept(200);
            client.get("/s/hello.txt").await.assert_kept(200);
        },
    );
}

#[test]
fn what_is_no_file_is_not_found_and_keeps_nobody_waiting() {
    let disk = Disk::new();
    let made = std::process::Command::new("mkfifo")
        .arg(disk.at("root/pipe"))
        .status();
    assert!(made.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(disk.at("root/socket")).unwrap();
    disk.write("root/forbidden", b"x");
    fs::set_permissions(disk.at("root/forbidden"), fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same.
    let may_read = File::open(disk.at("root/forbidden")).is_ok();
    serve(
        || disk.router(),
        async |site| {
            for path in ["/s/pipe", "/s/socket"] {
                assert_eq!(site.get(path).await.status, 404, "{path}");
            }
            let forbidden = if may_read { 200 } else { 404 };
            assert_eq!(site.get("/s/forbidden").await.status, forbidden);
        },
    );
}

#[test]
fn a_root_that_is_gone_is_our_own_fault_and_one_that_is_swapped_serves_the_new() {
    let disk = Disk::new();
    disk.write("next/hello.txt", b"next\n");
    symlink("root", disk.at("current")).unwrap();
    let files = Files::new(disk.at("current"));
    serve(
        || Router::new().files("/", files.clone()),
        async |site| {
            assert_eq!(site.get("/hello.txt").await.text(), "hello\n");
            symlink("next", disk.at("new")).unwrap();
            fs::rename(disk.at("new"), disk.at("current")).unwrap();
            assert_eq!(site.get("/hello.txt").await.text(), "next\n");
            fs::remove_file(disk.at("current")).unwrap();
            assert_eq!(site.get("/hello.txt").await.status, 500);
        },
    );
}

#[test]
fn more_large_files_than_may_be_open_are_put_off() {
    let disk = Disk::new();
    File::create(disk.at("root/huge"))
        .unwrap()
        .set_len(64 * 1024 * 1024)
        .unwrap();
    let files = disk.files().open_files_max(2);
    serve_in_real_time(
        &patient_server(),
        || Router::new().files("/s", files.clone()),
        async |site| {
            let mut slow = Vec::new();
            for _ in 0..2 {
                let mut client = site.send(get("/s/huge")).await;
                client.take(1000).await;
                slow.push(client);
            }
            let third = site.get("/s/huge").await;
            third.assert_kept(503);
            assert_eq!(third.field("retry-after"), Some("1"));
            site.get("/s/hello.txt").await.assert_kept(200);
            drop(slow.pop());
            while site.get("/s/huge").await.status != 200 {
                time::sleep(Duration::from_millis(10)).await;
            }
        },
    );
}

#[test]
fn compressed_copies_go_to_those_who_take_them() {
    let disk = Disk::new();
    disk.write("root/a.js", b"plain");
    disk.write("root/a.js.gz", b"gzipped");
    disk.write("root/b.js", b"plain");
    disk.write("root/b.js.br", b"stale");
    set_date(&disk.at("root/b.js"), SystemTime::now());
    let files = disk.files().precompressed(true);
    serve(
        || Router::new().files("/s", files.clone()),
        async |site| {
            let mut tags = Vec::new();
            for (path, accepted, text, coding) in [
                ("/s/a.js", "gzip, br", "gzipped", Some("gzip")),
                ("/s/a.js", "br", "plain", None),
                ("/s/a.js", "gzip;q=0", "plain", None),
                ("/s/b.js", "br", "plain", None),
                ("/s/a.js.gz", "gzip", "gzipped", None),
            ] {
                let answer = get_with(site, path, &[("accept-encoding", accepted)]).await;
                let found = (
                    answer.status,
                    answer.text(),
                    answer.field("content-encoding"),
                );
                assert_eq!(found, (200, text, coding), "{path} {accepted}");
                assert_eq!(answer.field("vary"), Some("accept-encoding"));
                if path.ends_with(".js") {
                    let content_type = answer.field("content-type");
                    assert_eq!(content_type, Some("text/javascript; charset=utf-8"));
                }
                tags.push(answer.field("etag").unwrap().to_owned());
            }
            assert_ne!(tags[0], tags[1]);
            let fields = [("accept-encoding", "gzip"), ("range", "bytes=0-1")];
            let part = get_with(site, "/s/a.js", &fields).await;
            assert_eq!(
                (part.text(), part.field("content-range")),
                ("gz", Some("bytes 0-1/7"))
            );
        },
    );
}

#[cfg(feature = "compression")]
#[test]
fn files_that_are_compressed_on_the_way_keep_ranges_and_tags_true() {
    const GZIP: (&str, &str) = ("accept-encoding", "gzip");
    let disk = Disk::new();
    disk.write("root/long.txt", "hello hello\n".repeat(1000).as_bytes());
    let app = || {
        Router::new()
            .middleware(monoloop::Compression::new())
            .files("/s", disk.files())
    };
    serve(app, async |site| {
        let plain = site.get("/s/long.txt").await;
        assert_eq!(plain.body.len(), 12_000);
        assert_eq!(plain.field("vary"), Some("accept-encoding"));
        let strong = plain.field("etag").unwrap();

        let smaller = get_with(site, "/s/long.txt", &[GZIP]).await;
        assert_eq!(smaller.field("content-encoding"), Some("gzip"));
        assert!(smaller.body.len() < 1000, "{}", smaller.body.len());
        assert_eq!(smaller.field("vary"), Some("accept-encoding"));
        assert_eq!(smaller.field("accept-ranges"), None);
        let weak = smaller.field("etag").unwrap();
        assert_eq!(weak, format!("W/{strong}"));

        // A part of the file, and not of what was compressed.
        let range = ("range", "bytes=6-10");
        let part = get_with(site, "/s/long.txt", &[GZIP, range]).await;
        assert_eq!((part.status, part.text()), (206, "hello"));
        assert_eq!(part.field("content-encoding"), None);
        assert_eq!(part.field("content-range"), Some("bytes 6-10/12000"));
        // Bytes that were compressed cannot be gone on with.
        let fields = [GZIP, range, ("if-range", weak)];
        let whole = get_with(site, "/s/long.txt", &fields).await;
        assert_eq!(whole.status, 200);

        for tag in [weak, strong] {
            let known = get_with(site, "/s/long.txt", &[GZIP, ("if-none-match", tag)]).await;
            assert_eq!((known.status, known.body.len()), (304, 0));
            assert_eq!(known.field("etag"), Some(tag));
            assert_eq!(known.field("vary"), Some("accept-encoding"));
        }

        // HEAD tells what GET would.
        let mut client = site.connect().await;
        client.send(request("HEAD", "/s/long.txt", &[GZIP])).await;
        let told = client.answer_to(&Method::HEAD).await;
        told.assert_kept(200);
        for name in ["content-encoding", "etag", "vary", "accept-ranges"] {
            assert_eq!(told.field(name), smaller.field(name), "{name}");
        }

        // Before HTTP/1.1 there are no chunks: it ends where the connection does.
        let old = "GET /s/large.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n";
        disk.write("root/large.txt", &b"hello hello\n".repeat(20_000));
        let old = site.send(old).await.answer().await;
        assert_eq!(old.field("transfer-encoding"), None);
        assert_eq!(old.field("content-length"), None);
        assert_eq!(old.field("content-encoding"), Some("gzip"));
        old.assert_last(200);
    });
}

#[test]
fn a_route_may_name_the_path_itself() {
    let disk = Disk::new();
    let router = || Router::new().get("/{site}/f/{*path}", disk.files());
    serve(router, async |site| {
        assert_eq!(site.get("/any/f/sub/index.html").await.text(), "<p>sub");
        assert_eq!(site.get("/any/f/../secret").await.status, 404);
    });
}

/// In a rough world, whatever the pool's jobs take, each byte is the right one.
#[test]
fn files_come_whole_in_a_simulated_world() {
    let disk = Rc::new(Disk::new());
    let faults = Faults {
        one_byte_reads: 0.05,
        partial_writes: 0.3,
        losses: 0.02,
        ..Faults::default()
    };
    Builder::new()
        .faults(faults)
        .shuffle(true)
        .seeds(0..20, |_seed| {
            let disk = disk.clone();
            async move {
                let shutdown = Shutdown::new();
                let server = Server::bind("10.0.0.1:80").unwrap();
                let served = disk.clone();
                let serving = server.spawn(move || served.router(), &shutdown).unwrap();
                let address = serving.local_addr();
                let clients: Vec<_> = (0..5)
                    .map(|number| {
                        spawn(async move {
                            let stream = monoloop::net::TcpStream::connect(address).await.unwrap();
                            let mut client = Client::new(stream);
                            let bytes = pattern(LARGE);
                            let from = number * 90_000;
                            let range = format!("bytes={from}-{}", from + 199_999);
                            let part = client.get_with("/s/large.bin", &[("range", &range)]).await;
                            assert!(part.body == bytes[from..from + 200_000]);
                            assert_eq!(client.get("/s/hello.txt").await.text(), "hello\n");
                        })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
                shutdown.drain();
                serving.wait().await;
            }
        });
}

#[test]
fn a_stream_of_another_length_than_announced_closes_the_connection() {
    use futures_util::stream;
    use monoloop::{Bytes, Response};
    let of = |announced: u64| {
        move |_| async move {
            let pieces = ["123", "45"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
            Response::sized_stream(announced, stream::iter(pieces))
        }
    };
    let router = || {
        Router::new()
            .get("/right", of(5))
            .get("/short", of(6))
            .get("/long", of(4))
    };
    serve_with(&server(), router, async |site| {
        let right = site.get("/right").await;
        right.assert_kept(200);
        assert_eq!(
            (right.text(), right.field("content-length")),
            ("12345", Some("5"))
        );
        for (path, came) in [("/short", "12345"), ("/long", "123")] {
            let mut client = site.send(get(path)).await;
            let (answer, _) = client.try_answer_to(&Method::GET).await;
            let answer = answer.unwrap();
            assert_eq!((answer.text(), answer.is_whole), (came, false), "{path}");
        }
        let mut client = site.send(request("HEAD", "/short", &[])).await;
        client.answer_to(&Method::HEAD).await.assert_kept(200);
    });
}
