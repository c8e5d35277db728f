//! The methods that streams, their halves and pipes have in common, written once. Each takes a
//! type with a field `socket` that is, or leads to, a [`Socket`](super::socket::Socket).
//!
//! What a task does again and again returns a small future by hand: an `async fn` would hold its
//! arguments a second time, in every connection that waits.

/// What everything can do that bytes come out of.
macro_rules! reading {
    ($stream:ty) => {
        impl $stream {
            /// Receives what has come, in a buffer lent by the loop; empty when the peer has
            /// finished. Holds no buffer while it waits.
            ///
            /// # Errors
            /// What the operating system says, for example `ConnectionReset`.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub fn receive(&mut self) -> impl Future<Output = std::io::Result<$crate::net::Chunk>> {
                std::future::poll_fn(move |cx| self.poll_receive(cx))
            }

            /// Reads into `buffer` and returns how many bytes came; 0 when the peer has finished,
            /// or `buffer` is empty.
            ///
            /// # Errors
            /// What the operating system says, for example `ConnectionReset`.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub fn read(
                &mut self,
                buffer: &mut [u8],
            ) -> impl Future<Output = std::io::Result<usize>> {
                std::future::poll_fn(move |cx| self.poll_read(cx, buffer))
            }

            /// Polls for what [`receive`](Self::receive) returns.
            #[inline]
            pub fn poll_receive(
                &mut self,
                cx: &std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<$crate::net::Chunk>> {
                self.socket.poll_receive(cx)
            }

            /// Polls for what [`read`](Self::read) returns.
            pub fn poll_read(
                &mut self,
                cx: &std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.socket.poll_read(cx, buffer)
            }
        }
    };
}

/// What everything can do that bytes go into.
macro_rules! writing {
    ($stream:ty) => {
        impl $stream {
            /// Writes what fits and returns how many bytes that were.
            ///
            /// # Errors
            /// What the operating system says, for example `BrokenPipe`.
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has written nothing.
            pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = std::io::Result<usize>> {
                std::future::poll_fn(move |cx| self.poll_write(cx, bytes))
            }

            /// Writes all of `bytes`.
            ///
            /// # Errors
            /// What the operating system says; `WriteZero` when nothing more is taken.
            ///
            /// # Cancel safety
            /// Some of the bytes may have been written: close it.
            pub fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = std::io::Result<()>> {
                let mut left = bytes;
                std::future::poll_fn(move |cx| self.socket.poll_write_all(cx, &mut left))
            }

            /// Writes what fits of several buffers, one behind the other.
            ///
            /// # Errors
            /// What the operating system says, for example `BrokenPipe`.
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has written nothing.
            pub async fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                std::future::poll_fn(|cx| self.poll_write_vectored(cx, buffers)).await
            }

            /// Writes all of several buffers, one behind the other. Leaves `buffers` advanced.
            ///
            /// # Errors
            /// What the operating system says; `WriteZero` when nothing more is taken.
            ///
            /// # Cancel safety
            /// Some of the bytes may have been written: close it.
            pub async fn write_all_vectored(
                &mut self,
                buffers: &mut [std::io::IoSlice<'_>],
            ) -> std::io::Result<()> {
                let mut left = buffers;
                // Empty ones in front would look like a socket that takes no more.
                std::io::IoSlice::advance_slices(&mut left, 0);
                while !left.is_empty() {
                    match self.write_vectored(left).await? {
                        0 => return Err(std::io::ErrorKind::WriteZero.into()),
                        count => std::io::IoSlice::advance_slices(&mut left, count),
                    }
                }
                Ok(())
            }

            /// Polls for what [`write`](Self::write) returns.
            #[inline]
            pub fn poll_write(
                &mut self,
                cx: &std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.socket.poll_write(cx, &[std::io::IoSlice::new(bytes)])
            }

            /// Polls for what [`write_vectored`](Self::write_vectored) returns.
            pub fn poll_write_vectored(
                &mut self,
                cx: &std::task::Context<'_>,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.socket.poll_write(cx, buffers)
            }
        }
    };
}

/// What streams with two directions can do.
macro_rules! splitting {
    ($stream:ty) => {
        impl $stream {
            /// Tells the peer that nothing more will be sent, or stops receiving, or both.
            ///
            /// # Errors
            /// What the operating system says, for example `NotConnected`.
            pub fn shutdown(&mut self, how: std::net::Shutdown) -> std::io::Result<()> {
                self.socket.shutdown(how)
            }

            /// Halves for reading and writing at the same time within one task.
            pub fn split(&mut self) -> ($crate::net::ReadHalf<'_>, $crate::net::WriteHalf<'_>) {
                $crate::net::split::borrowed(&self.socket)
            }

            /// Halves for two tasks. The connection is closed when both are dropped; a dropped
            /// write half tells the peer that nothing more will be sent.
            pub fn into_split(self) -> ($crate::net::OwnedReadHalf, $crate::net::OwnedWriteHalf) {
                $crate::net::split::owned(self.socket)
            }
        }
    };
}

pub(crate) use {reading, splitting, writing};
