//! Files and directories through the pool: what they do, what their errors say, and what is kept
//! when a call is given up.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{assert_balance, ms, poll_once, run, turns};
use futures_util::StreamExt;
use monoloop_runtime::fs::{self, File, OpenOptions, PathError};
use monoloop_runtime::{Config, Runtime, blocking_stats, sim, spawn_blocking, time};
use std::collections::BTreeSet;
use std::io::{ErrorKind, SeekFrom};
use std::path::Path;
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A loop with one thread in its pool, and room for many jobs behind it.
fn one_thread() -> Runtime {
    Runtime::builder().blocking_threads_max(1).build().unwrap()
}

/// Occupies the pool's only thread until the sender is dropped.
async fn occupy() -> Sender<()> {
    let ((begin, began), (leave, wait)) = (channel(), channel::<()>());
    drop(spawn_blocking(move || {
        begin.send(()).unwrap();
        let _ = wait.recv();
    }));
    began.recv().unwrap();
    leave
}

#[test]
fn what_is_written_is_read_back() {
    run(async {
        let dir = dir();
        let path = dir.path().join("file");
        fs::write(&path, "hello").await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"hello");
        assert_eq!(fs::read_to_string(&path).await.unwrap(), "hello");
        assert_eq!(fs::metadata(&path).await.unwrap().len(), 5);
        assert!(fs::try_exists(&path).await.unwrap());

        let copy = dir.path().join("copy");
        assert_eq!(fs::copy(&path, &copy).await.unwrap(), 5);
        let moved = dir.path().join("moved");
        fs::rename(&copy, &moved).await.unwrap();
        assert!(!fs::try_exists(&copy).await.unwrap());
        assert_eq!(fs::read(&moved).await.unwrap(), b"hello");
        fs::remove_file(&moved).await.unwrap();
        assert!(!fs::try_exists(&moved).await.unwrap());
    });
}

#[test]
fn directories_are_made_and_removed() {
    run(async {
        let dir = dir();
        let deep = dir.path().join("a/b/c");
        assert_eq!(
            fs::create_dir(&deep).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fs::create_dir_all(&deep).await.unwrap();
        assert!(fs::metadata(&deep).await.unwrap().is_dir());
        let dots = deep.join("../c/.");
        let real = fs::canonicalize(&deep).await.unwrap();
        assert_eq!(fs::canonicalize(&dots).await.unwrap(), real);
        fs::remove_dir(&deep).await.unwrap();
        assert!(!fs::try_exists(&deep).await.unwrap());
        fs::remove_dir_all(dir.path().join("a")).await.unwrap();
        assert!(!fs::try_exists(dir.path().join("a")).await.unwrap());
    });
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_or_looked_at() {
    run(async {
        let dir = dir();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "hello").await.unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(fs::metadata(&link).await.unwrap().is_file());
        assert!(fs::symlink_metadata(&link).await.unwrap().is_symlink());
        assert_eq!(fs::read_link(&link).await.unwrap(), file);
        let second = dir.path().join("second");
        fs::hard_link(&file, &second).await.unwrap();
        assert_eq!(fs::read(&second).await.unwrap(), b"hello");
    });
}

#[test]
fn errors_name_the_paths_and_what_was_done_and_keep_the_systems_number() {
    run(async {
        let dir = dir();
        let (missing, to) = (dir.path().join("missing"), dir.path().join("to"));
        let text = missing.display();
        for (error, begins) in [
            (
                fs::read(&missing).await.unwrap_err(),
                format!("cannot read {text}: "),
            ),
            (
                File::open(&missing).await.unwrap_err(),
                format!("cannot open {text}: "),
            ),
            (
                fs::rename(&missing, &to).await.unwrap_err(),
                format!("cannot rename {text} to {}: ", to.display()),
            ),
            (
                fs::read_dir(&missing).await.unwrap_err(),
                format!("cannot read the directory {text}: "),
            ),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().starts_with(&begins), "{error}");
            let inner: &PathError = error.get_ref().unwrap().downcast_ref().unwrap();
            assert_eq!(inner.path(), missing);
            assert_eq!(inner.system_error().raw_os_error(), Some(2));
        }
        let mut file = File::create(&to).await.unwrap();
        let error = file.receive().await.unwrap_err();
        let begins = format!("cannot read {}: ", to.display());
        assert!(error.to_string().starts_with(&begins), "{error}");
    });
}

#[test]
fn a_file_that_is_longer_than_allowed_is_not_read() {
    run(async {
        let dir = dir();
        let path = dir.path().join("file");
        fs::write(&path, "hello").await.unwrap();
        assert_eq!(fs::read_at_most(&path, 5).await.unwrap(), b"hello");
        let error = fs::read_at_most(&path, 4).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("4 bytes"), "{error}");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_without_end_is_given_up_at_the_limit() {
    run(async {
        let error = fs::read_at_most("/dev/zero", 100_000).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    });
}

#[test]
fn a_directory_is_walked_through_in_batches() {
    run(async {
        let dir = dir();
        let names: BTreeSet<String> = (0..100).map(|number| number.to_string()).collect();
        for name in &names {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::create_dir(dir.path().join("sub")).unwrap();

        let jobs_before = blocking_stats().finished;
        let mut entries = fs::read_dir(dir.path()).await.unwrap();
        let (mut files, mut directories) = (BTreeSet::new(), 0);
        while let Some(entry) = entries.next_entry().await.unwrap() {
            assert_eq!(entry.path(), dir.path().join(entry.file_name()));
            if entry.file_type().await.unwrap().is_dir() {
                directories += 1;
            } else {
                files.insert(entry.file_name().to_str().unwrap().to_owned());
            }
        }
        assert!(entries.next_entry().await.unwrap().is_none());
        assert_eq!((files, directories), (names, 1));
        common::until(|| blocking_stats().running == 0).await;
        // 101 entries by 32.
        assert_eq!(blocking_stats().finished - jobs_before, 4);

        let stream = fs::read_dir(dir.path()).await.unwrap();
        assert_eq!(stream.count().await, 101);
    });
}

#[test]
fn a_batch_that_is_given_up_is_kept_for_the_next_call() {
    let mut runtime = one_thread();
    runtime.block_on(async {
        let dir = dir();
        for number in 0..40 {
            std::fs::write(dir.path().join(number.to_string()), "").unwrap();
        }
        let mut entries = fs::read_dir(dir.path()).await.unwrap();
        for _ in 0..32 {
            entries.next_entry().await.unwrap().unwrap();
        }
        let leave = occupy().await;
        assert!(
            poll_once(&mut Box::pin(entries.next_entry()))
                .await
                .is_pending()
        );
        drop(leave);
        let mut left = 0;
        while entries.next_entry().await.unwrap().is_some() {
            left += 1;
        }
        assert_eq!(left, 8);
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_file_is_written_read_and_moved_in() {
    run(async {
        let dir = dir();
        let path = dir.path().join("file");
        let options = OpenOptions::new().read(true).write(true).create_new(true);
        let mut file = options.open(&path).await.unwrap();
        assert_eq!(
            options.open(&path).await.unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        file.write_all(b"hello, ").await.unwrap();
        file.write_all(b"world").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 12);
        assert_eq!(file.seek(SeekFrom::Start(7)).await.unwrap(), 7);
        let mut buffer = [0; 3];
        assert_eq!(file.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer, b"wor");
        assert_eq!(file.seek(SeekFrom::Current(-1)).await.unwrap(), 9);
        assert_eq!(&*file.receive().await.unwrap(), b"rld");
        assert!(file.receive().await.unwrap().is_empty());
        assert_eq!(file.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(file.read(&mut []).await.unwrap(), 0);
        file.set_len(5).await.unwrap();
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        drop(file);
        assert_eq!(fs::read(&path).await.unwrap(), b"hello");

        let mut log = OpenOptions::new().append(true).open(&path).await.unwrap();
        log.write_all(b"!").await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"hello!");
        assert_eq!(
            File::create(&path)
                .await
                .unwrap()
                .metadata()
                .await
                .unwrap()
                .len(),
            0
        );
    });
}

#[test]
fn reads_at_a_position_leave_the_files_own_alone() {
    run(async {
        let dir = dir();
        let path = dir.path().join("file");
        fs::write(&path, "0123456789").await.unwrap();
        let options = OpenOptions::new().read(true).write(true);
        let mut file = options.open(&path).await.unwrap();
        let (first, second) =
            futures_util::future::join(file.read_at(8, 5), file.read_at(2, 3)).await;
        assert_eq!(
            (first.unwrap(), second.unwrap()),
            (b"89".to_vec(), b"234".to_vec())
        );
        assert_eq!(file.read_at(50, 5).await.unwrap(), b"");
        file.write_all_at(*b"xy", 4).await.unwrap();
        assert_eq!(&*file.receive().await.unwrap(), b"0123xy6789");
    });
}

#[test]
fn a_read_that_was_given_up_comes_with_the_next_whatever_that_asks_for() {
    let mut runtime = one_thread();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        fs::write(&path, "0123456789").await.unwrap();
        let options = OpenOptions::new().read(true).write(true);
        let mut file = options.open(&path).await.unwrap();

        let leave = occupy().await;
        {
            let mut reading = pin!(file.receive());
            assert!(poll_once(&mut reading).await.is_pending());
        }
        drop(leave);
        let mut buffer = [0; 4];
        assert_eq!(file.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer, b"0123");
        // The rest of what was read is in memory; moving and writing take it into account.
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 4);
        assert_eq!(file.read(&mut buffer[..2]).await.unwrap(), 2);
        assert_eq!(&buffer[..2], b"45");

        let leave = occupy().await;
        assert!(poll_once(&mut Box::pin(file.receive())).await.is_pending());
        drop(leave);
        file.write_all(b"X").await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"012345X789");
        assert_eq!(&*file.receive().await.unwrap(), b"789");
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_write_that_was_given_up_is_made_before_what_comes_next() {
    let mut runtime = one_thread();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        let mut file = File::create(&path).await.unwrap();
        let leave = occupy().await;
        assert!(
            poll_once(&mut Box::pin(file.write_all(b"first ")))
                .await
                .is_pending()
        );
        drop(leave);
        file.write_all(b"second").await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"first second");
    });
    assert_balance(&mut runtime);
}

#[cfg(target_os = "linux")]
#[test]
fn the_error_of_a_write_that_was_given_up_is_that_of_the_next_call() {
    let mut runtime = one_thread();
    runtime.block_on(async {
        let full = OpenOptions::new().write(true).open("/dev/full").await;
        let mut full = full.unwrap();
        let leave = occupy().await;
        assert!(
            poll_once(&mut Box::pin(full.write_all(b"x")))
                .await
                .is_pending()
        );
        drop(leave);
        let error = full.sync_all().await.unwrap_err();
        assert!(
            error.to_string().starts_with("cannot write /dev/full: "),
            "{error}"
        );
        // Told once.
        full.metadata().await.unwrap();
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_large_write_is_made_in_pieces_and_a_large_read_in_buffers_of_the_loop() {
    let mut config = Config::default();
    config.receive_buffer_bytes = 1000;
    let mut runtime = Runtime::builder().config(config).build().unwrap();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut file = File::create(&path).await.unwrap();
        file.write_all(&bytes).await.unwrap();
        drop(file);
        assert!(fs::read(&path).await.unwrap() == bytes);
        let mut file = File::open(&path).await.unwrap();
        let mut buffer = vec![0; 4000];
        assert_eq!(file.read(&mut buffer).await.unwrap(), 1000);
        assert_eq!(buffer[..1000], bytes[..1000]);
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_file_goes_to_the_standard_library_and_back_at_its_position() {
    use std::io::Read;
    let mut runtime = one_thread();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        fs::write(&path, "0123456789").await.unwrap();
        let mut file = File::open(&path).await.unwrap();
        let leave = occupy().await;
        assert!(poll_once(&mut Box::pin(file.receive())).await.is_pending());
        drop(leave);
        let mut buffer = [0; 4];
        file.read(&mut buffer).await.unwrap();
        let mut plain = file.into_std().await.unwrap();
        plain.read_exact(&mut buffer[..2]).unwrap();
        assert_eq!(&buffer[..2], b"45");
        let mut file = File::from_std(plain, &path);
        assert_eq!(&*file.receive().await.unwrap(), b"6789");
        assert_eq!(file.path(), Path::new(&path));
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_file_that_is_dropped_in_the_middle_of_a_call_leaves_nothing_behind() {
    let mut runtime = one_thread();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        let mut file = File::create(&path).await.unwrap();
        let leave = occupy().await;
        assert!(
            poll_once(&mut Box::pin(file.write_all(b"all of it")))
                .await
                .is_pending()
        );
        drop(file);
        drop(leave);
        // The pool has one thread: what comes behind the write sees it.
        assert_eq!(fs::read(&path).await.unwrap(), b"all of it");
    });
    assert_balance(&mut runtime);
}

#[test]
fn the_loop_goes_on_while_the_disk_is_slow() {
    let mut runtime = one_thread();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        let leave = occupy().await;
        let mut writing = Box::pin(fs::write(&path, "hello"));
        for _ in 0..100 {
            assert!(poll_once(&mut writing).await.is_pending());
            turns(1).await;
        }
        drop(leave);
        writing.await.unwrap();
    });
    assert_balance(&mut runtime);
}

#[test]
fn calls_of_a_file_system_in_a_simulated_world_take_the_time_of_jobs() {
    let dir = dir();
    let world = sim::Builder::new().blocking_takes(ms(3)..=ms(3));
    world.seeds(0..20, |seed| {
        let path = dir.path().join(seed.to_string());
        async move {
            fs::write(&path, "hello").await.unwrap();
            assert_eq!(sim::elapsed(), ms(3));
            let mut file = File::open(&path).await.unwrap();
            let cut_off = time::timeout(ms(1), file.receive()).await;
            assert!(cut_off.is_err());
            assert_eq!(&*file.receive().await.unwrap(), b"hello");
            assert_eq!(sim::elapsed(), ms(9));
            fs::remove_file(&path).await.unwrap();
        }
    });
}

#[test]
fn a_pool_that_is_full_makes_files_wait_and_a_call_given_up_in_line_holds_up_nobody() {
    let mut runtime = Runtime::builder()
        .blocking_threads_max(1)
        .blocking_queue_max(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = dir();
        let path = dir.path().join("file");
        fs::write(&path, "hello").await.unwrap();
        let mut file = File::open(&path).await.unwrap();
        let leave = occupy().await;
        let queued = spawn_blocking(|| ());
        // Stands in line, and is left alone there.
        assert!(poll_once(&mut Box::pin(file.receive())).await.is_pending());
        let other = spawn_blocking(|| 7);
        drop(leave);
        assert_eq!(other.await.unwrap(), 7);
        assert_eq!(&*file.receive().await.unwrap(), b"hello");
        queued.await.unwrap();
    });
    assert_balance(&mut runtime);
}
