//! SIGHUP: what is read anew at it. It ends no server, whatever there is to be read: who tells all
//! daemons of a machine that their files have changed (logrotate, an operator) means no harm, and
//! the system's own answer to the signal is to end the process with its requests in the middle.

#[cfg(feature = "tls")]
use crate::tls::TlsReloader;
use monoloop_runtime::signal::Signal;
#[cfg(feature = "tls")]
use monoloop_runtime::spawn_blocking;
use std::io;

/// What is read anew.
pub(crate) struct Reloaded {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsReloader>,
}

/// Reads anew at each SIGHUP, as nginx and HAProxy do.
pub(crate) async fn heed(hangups: io::Result<Signal>, reloaded: Reloaded) {
    let mut hangups = match hangups {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::warn!(%error, "no handler for SIGHUP, which will end the server at once");
            return;
        }
    };
    loop {
        hangups.recv().await;
        reloaded.reload().await;
    }
}

impl Reloaded {
    async fn reload(&self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return reload_certificates(tls.clone()).await;
        }
        tracing::info!("SIGHUP: there are no certificates to be reloaded, and it ends nothing");
    }
}

#[cfg(feature = "tls")]
async fn reload_certificates(tls: TlsReloader) {
    match spawn_blocking(move || tls.reload()).await {
        Ok(Ok(())) => tracing::info!("TLS certificates reloaded"),
        Ok(Err(error)) => {
            tracing::error!(%error, "TLS certificates not reloaded; the old ones stay");
        }
        // It was reported.
        Err(_panicked) => {}
    }
}
