//! The configuration that handshakes begin with, and how it becomes another.

use super::load::load;
use super::{TlsConfig, TlsError};
use rustls::ServerConfig;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Gives a server new certificates while it runs. From any thread, for all its loops: handshakes
/// from then on get the new ones, and connections that are open go on.
#[derive(Clone)]
pub struct TlsReloader {
    /// Locked while files are read, so that of two reloads the later one stands.
    config: Arc<Mutex<TlsConfig>>,
    current: Arc<Mutex<Option<Arc<ServerConfig>>>>,
}

impl TlsReloader {
    pub(crate) fn new(config: TlsConfig) -> Self {
        TlsReloader {
            config: Arc::new(Mutex::new(config)),
            current: Arc::default(),
        }
    }

    /// Reads the files anew. Blocks: on a loop, call it in
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Errors
    /// When something is wrong with the files; then everything stays as it is.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = lock(&self.config);
        let loaded = load(&config)?;
        *lock(&self.current) = Some(loaded);
        Ok(())
    }

    /// Takes another configuration, which is that of later reloads. Blocks as
    /// [`reload`](TlsReloader::reload) does.
    ///
    /// # Errors
    /// When something is wrong with it; then everything stays as it is.
    pub fn replace(&self, config: TlsConfig) -> Result<(), TlsError> {
        let mut old = lock(&self.config);
        let loaded = load(&config)?;
        *old = config;
        *lock(&self.current) = Some(loaded);
        Ok(())
    }

    /// Reads the files unless that was done.
    pub(crate) fn load_once(&self) -> Result<(), TlsError> {
        let is_loaded = lock(&self.current).is_some();
        match is_loaded {
            true => Ok(()),
            false => self.reload(),
        }
    }

    /// What a handshake is to begin with.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let current = lock(&self.current);
        let current = current.as_ref();
        current
            .expect("it is loaded before the server listens")
            .clone()
    }
}

/// What is there is whole whenever it is unlocked, also by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for TlsReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReloader").finish_non_exhaustive()
    }
}
