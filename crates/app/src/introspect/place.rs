//! The file of a Unix socket: made without a moment in which others could connect, taken over
//! only from the dead, and removed at the end.

use super::SocketError;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Attempts to find a free name for the directory, and a free place for the socket. Each fails
/// only when another process is in just the same place.
const TRIES_MAX: u32 = 16;

/// The file of a socket that listens, removed when it is dropped, if it still is this one.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// Listens at `path`.
    pub(super) fn take(path: &Path) -> Result<(UnixListener, Place), SocketError> {
        let io_error = |error| SocketError::Io {
            path: path.to_owned(),
            error,
        };
        // One that is too long could be made, by way of a shorter one, but not connected to.
        SockAddr::unix(path).map_err(io_error)?;
        // A socket is made with the rights that the process gives to all its files, and
        // narrowing them afterwards leaves a gap. So it is made where nobody else can look, and
        // appears at its place when all is done.
        let private = PrivateDirectory::make_beside(path).map_err(io_error)?;
        let hidden = private.path.join("s");
        let listener = UnixListener::bind(&hidden).map_err(io_error)?;
        fs::set_permissions(&hidden, Permissions::from_mode(0o600)).map_err(io_error)?;
        let made = fs::symlink_metadata(&hidden).map_err(io_error)?;
        for _ in 0..TRIES_MAX {
            match fs::hard_link(&hidden, path) {
                Ok(()) => {
                    let place = Place {
                        path: path.to_owned(),
                        device: made.dev(),
                        inode: made.ino(),
                    };
                    return Ok((listener, place));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_dead(path, &private.path.join("dead"))?;
                }
                Err(error) => return Err(io_error(error)),
            }
        }
        Err(SocketError::InUse {
            path: path.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is still this socket, and not that of a successor.
    fn is_ours(&self) -> bool {
        let found = fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what a dead process left at `path`, by way of `aside`.
fn remove_dead(path: &Path, aside: &Path) -> Result<(), SocketError> {
    let io_error = |error| SocketError::Io {
        path: path.to_owned(),
        error,
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
    }
    let in_use = || SocketError::InUse {
        path: path.to_owned(),
    };
    if is_alive(path).map_err(io_error)? {
        return Err(in_use());
    }
    match fs::rename(path, aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
    }
    // Between the look and the move another may have taken the place, and is alive.
    if is_alive(aside).map_err(io_error)? {
        fs::hard_link(aside, path).map_err(io_error)?;
        return Err(in_use());
    }
    fs::remove_file(aside).map_err(io_error)
}

/// Whether a process listens at a socket.
fn is_alive(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One that does not accept must not hold us up.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(true),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
            _ => Err(error),
        },
    }
}

/// A directory that nobody else can look into, removed with all that is in it.
struct PrivateDirectory {
    path: PathBuf,
}

impl PrivateDirectory {
    fn make_beside(path: &Path) -> io::Result<PrivateDirectory> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let process = std::process::id();
        for attempt in 0..TRIES_MAX {
            // Short: the path of a socket has 108 bytes at most, on macOS 104.
            let path = parent.join(format!(".{process:x}.{attempt:x}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(PrivateDirectory { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
