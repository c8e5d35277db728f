//! Opening from directory to directory, so that nobody can swap one for a link in between.
//!
//! Linux does it in one call (openat2, since 5.6). Elsewhere, and where that is forbidden, the same
//! is done step by step: each directory is held open while the next name is looked up in it, and
//! links are read and followed here.

use super::{OpenError, Symlinks};
use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Links followed on the way to one file. Precedent: Linux, `MAXSYMLINKS`.
const LINKS_MAX: usize = 40;

/// Directories that are only passed through need no right to read them where the system has
/// descriptors for that.
#[cfg(target_os = "linux")]
const PASSING: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PASSING: OFlags = OFlags::RDONLY;

/// Opens a file, or a directory as if it were one.
pub(super) fn open(
    root: &Path,
    names: &[String],
    symlinks: Symlinks,
) -> Result<Option<File>, OpenError> {
    let root = openat(CWD, root, directory(), Mode::empty());
    let root = root.map_err(|error| match is_exhaustion(error) {
        true => OpenError::Exhausted(error.into()),
        false => OpenError::Failed(error.into()),
    })?;
    let opened = match symlinks {
        Symlinks::Follow => openat(&root, names.join("/"), file(), Mode::empty()),
        Symlinks::Refuse | Symlinks::WithinRoot => open_beneath(root, names, symlinks),
    };
    opened.map(|file| Some(file.into())).map_err(why)
}

#[cfg(target_os = "linux")]
fn open_beneath(root: OwnedFd, names: &[String], symlinks: Symlinks) -> Result<OwnedFd, Errno> {
    match in_one_call(&root, names, symlinks) {
        // An older kernel; a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, names, symlinks),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
use step_by_step as open_beneath;

#[cfg(target_os = "linux")]
fn in_one_call(root: &OwnedFd, names: &[String], symlinks: Symlinks) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    /// How often somebody may rename a directory just while a `..` is looked up.
    const TRIES: usize = 8;

    let resolve = ResolveFlags::BENEATH
        | match symlinks {
            Symlinks::Refuse => ResolveFlags::NO_SYMLINKS,
            Symlinks::WithinRoot | Symlinks::Follow => ResolveFlags::NO_MAGICLINKS,
        };
    let path = names.join("/");
    let mut opened = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        opened = openat2(root, &path, file(), Mode::empty(), resolve);
        if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    opened
}

fn step_by_step(root: OwnedFd, names: &[String], symlinks: Symlinks) -> Result<OwnedFd, Errno> {
    let mut ahead: VecDeque<String> = names.iter().cloned().collect();
    // From the root to where we are: the way back for `..`, which is never asked for otherwise.
    let mut behind = vec![root];
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            behind.pop();
            if behind.is_empty() {
                return Err(Errno::XDEV);
            }
            continue;
        }
        let here = behind.last().ok_or(Errno::XDEV)?;
        let flags = match ahead.is_empty() {
            true => file(),
            false => directory(),
        };
        let error = match openat(here, &*name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(opened) if ahead.is_empty() => return Ok(opened),
            Ok(opened) => {
                behind.push(opened);
                continue;
            }
            // What systems say of a link: ELOOP, of one that should be a directory ENOTDIR,
            // FreeBSD EMLINK.
            Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => error,
            Err(error) => return Err(error),
        };
        links += 1;
        if symlinks == Symlinks::Refuse || links > LINKS_MAX {
            return Err(error);
        }
        // Not a link: the error was about what it is.
        let target = readlinkat(here, &*name, Vec::new()).map_err(|_| error)?;
        let target = target.into_string().map_err(|_| Errno::NOENT)?;
        if target.starts_with('/') {
            return Err(Errno::XDEV);
        }
        let steps = target.rsplit('/').filter(|step| !matches!(*step, "" | "."));
        for step in steps {
            ahead.push_front(step.to_owned());
        }
    }
    let here = behind.last().ok_or(Errno::XDEV)?;
    openat(here, ".", file(), Mode::empty())
}

fn directory() -> OFlags {
    PASSING | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// Without waiting for the other end of a pipe, and without becoming a terminal's own.
fn file() -> OFlags {
    OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

fn is_exhaustion(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

fn why(error: Errno) -> OpenError {
    match error {
        // No such thing; a link, or out of the root; not for us; a name that cannot be; a socket
        // or a device without a driver.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::MLINK
        | Errno::XDEV
        | Errno::ACCESS
        | Errno::PERM
        | Errno::NAMETOOLONG
        | Errno::INVAL
        | Errno::ILSEQ
        | Errno::NXIO
        | Errno::NODEV
        | Errno::OPNOTSUPP => OpenError::NotFound(error.into()),
        error if is_exhaustion(error) => OpenError::Exhausted(error.into()),
        error => OpenError::Failed(error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tempfile::TempDir;

    type Open = fn(OwnedFd, &[String], Symlinks) -> Result<OwnedFd, Errno>;

    /// All ways there are on this system; each passes the same tests.
    const WAYS: &[(&str, Open)] = &[
        ("step by step", step_by_step),
        #[cfg(target_os = "linux")]
        ("openat2", |root, names, symlinks| {
            in_one_call(&root, names, symlinks)
        }),
    ];

    /// A root with a file, links of all kinds, and a secret beside it.
    fn site() -> TempDir {
        let site = TempDir::new().unwrap();
        let at = |path: &str| site.path().join(path);
        fs::create_dir_all(at("root/sub/deep")).unwrap();
        fs::create_dir_all(at("outside")).unwrap();
        fs::write(at("outside/secret"), "secret").unwrap();
        fs::write(at("root/file"), "file").unwrap();
        fs::write(at("root/sub/file"), "sub").unwrap();
        for (target, link) in [
            ("file", "root/link"),
            ("sub", "root/dirlink"),
            ("../file", "root/sub/up"),
            ("../sub/../sub/./file", "root/sub/winding"),
            ("deep/..", "root/sub/back"),
            ("../outside/secret", "root/out"),
            ("../outside", "root/outdir"),
            ("../root/file", "root/out_and_in"),
            ("loop", "root/loop"),
            ("nothing", "root/dangling"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        symlink(at("root/file"), at("root/absolute")).unwrap();
        symlink("/proc/self/root/etc/hostname", at("root/magic")).unwrap();
        site
    }

    fn names(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    fn read(open: Open, site: &TempDir, path: &str, symlinks: Symlinks) -> Option<String> {
        let root = openat(CWD, site.path().join("root"), directory(), Mode::empty()).unwrap();
        let mut text = String::new();
        let mut file = File::from(open(root, &names(path), symlinks).ok()?);
        file.read_to_string(&mut text).ok()?;
        Some(text)
    }

    #[test]
    fn links_are_followed_as_far_as_the_policy_goes() {
        let site = site();
        for (way, open) in WAYS {
            for (path, refuse, within) in [
                ("file", Some("file"), Some("file")),
                ("sub/file", Some("sub"), Some("sub")),
                ("link", None, Some("file")),
                ("dirlink/file", None, Some("sub")),
                ("sub/up", None, Some("file")),
                ("sub/winding", None, Some("sub")),
                ("sub/back/file", None, Some("sub")),
                ("dirlink/up", None, Some("file")),
                ("out", None, None),
                ("outdir/secret", None, None),
                ("out_and_in", None, None),
                ("absolute", None, None),
                ("magic", None, None),
                ("loop", None, None),
                ("dangling", None, None),
                ("nothing", None, None),
                ("file/x", None, None),
            ] {
                let got = |symlinks| read(*open, &site, path, symlinks);
                assert_eq!(got(Symlinks::Refuse).as_deref(), refuse, "{way}: {path}");
                assert_eq!(
                    got(Symlinks::WithinRoot).as_deref(),
                    within,
                    "{way}: {path}"
                );
            }
        }
    }

    #[test]
    fn a_chain_of_links_ends() {
        let site = site();
        let root = site.path().join("root");
        for number in 0..LINKS_MAX + 1 {
            let target = match number {
                0 => "file".to_owned(),
                _ => format!("chain{}", number - 1),
            };
            symlink(target, root.join(format!("chain{number}"))).unwrap();
        }
        for (way, open) in WAYS {
            let got = |links| read(*open, &site, &format!("chain{links}"), Symlinks::WithinRoot);
            assert_eq!(got(LINKS_MAX - 1).as_deref(), Some("file"), "{way}");
            assert_eq!(got(LINKS_MAX), None, "{way}");
        }
    }

    /// Somebody swaps a directory for a link out of the root, again and again, while it is opened
    /// through: the secret never comes.
    #[test]
    fn a_directory_that_turns_into_a_link_lets_nobody_out() {
        let site = site();
        let at = |path: &str| site.path().join(path);
        fs::create_dir(at("root/swap")).unwrap();
        fs::write(at("root/swap/secret"), "open").unwrap();
        symlink("../outside", at("root/other")).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(at("root/swap"), at("root/aside")).unwrap();
                    fs::rename(at("root/other"), at("root/swap")).unwrap();
                    fs::rename(at("root/swap"), at("root/other")).unwrap();
                    fs::rename(at("root/aside"), at("root/swap")).unwrap();
                }
            });
            let stop = scopeguard(&done);
            for (way, open) in WAYS {
                let mut opened = 0;
                for _ in 0..20_000 {
                    for symlinks in [Symlinks::Refuse, Symlinks::WithinRoot] {
                        let got = read(*open, &site, "swap/secret", symlinks);
                        assert!(got.as_deref().is_none_or(|text| text == "open"), "{way}");
                        opened += usize::from(got.is_some());
                    }
                }
                assert!(opened > 0, "{way}: it was never there");
            }
            drop(stop);
        });
    }

    /// Ends the other thread also when an assertion fails.
    fn scopeguard(done: &AtomicBool) -> impl Drop + '_ {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        Stop(done)
    }

    #[test]
    fn a_root_may_be_a_link_and_has_to_be_a_directory() {
        let site = site();
        let at = |path: &str| site.path().join(path);
        symlink(at("root"), at("current")).unwrap();
        let opened = |root: &str| open(&at(root), &names("file"), Symlinks::Refuse);
        assert!(opened("current").is_ok());
        assert!(matches!(opened("nothing"), Err(OpenError::Failed(_))));
        assert!(matches!(opened("root/file"), Err(OpenError::Failed(_))));
    }

    #[test]
    fn those_who_trust_their_links_have_all_of_them_followed() {
        let site = site();
        let root = site.path().join("root");
        for path in ["out", "outdir/secret", "absolute", "link"] {
            assert!(
                open(&root, &names(path), Symlinks::Follow).is_ok(),
                "{path}"
            );
        }
    }
}
