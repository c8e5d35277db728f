//! The methods that datagram sockets and their halves have in common, written once. Each takes a
//! type with a field `socket` that is, or leads to, a [`Socket`](super::socket::Socket).

/// What everything can do that datagrams come out of; `$address` is who sends them, and
/// `$known` makes it of a driver's address.
macro_rules! datagrams_in {
    ($socket:ty, $address:ty, $known:expr) => {
        impl $socket {
            /// Receives one datagram, in a buffer lent by the loop. Holds no buffer while it
            /// waits. An empty one is a datagram, not an end.
            ///
            /// What does not fit the buffer is lost: see
            /// [`Config::receive_buffer_bytes`](crate::Config::receive_buffer_bytes), by default
            /// more than UDP can carry.
            ///
            /// # Errors
            /// What the operating system says; on a connected socket also what became of
            /// datagrams that were sent before, for example `ConnectionRefused`.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn receive(&mut self) -> std::io::Result<$crate::net::Chunk> {
                std::future::poll_fn(|cx| self.poll_receive(cx)).await
            }

            /// Receives one datagram, as [`receive`](Self::receive), and who has sent it.
            ///
            /// # Errors
            /// As [`receive`](Self::receive).
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn receive_from(
                &mut self,
            ) -> std::io::Result<($crate::net::Chunk, $address)> {
                std::future::poll_fn(|cx| self.poll_receive_from(cx)).await
            }

            /// Reads one datagram into `buffer` and returns how many bytes it brought. What does
            /// not fit is lost. Into an empty buffer nothing is read.
            ///
            /// # Errors
            /// As [`receive`](Self::receive).
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                std::future::poll_fn(|cx| self.poll_read(cx, buffer)).await
            }

            /// Reads one datagram into `buffer` and returns how many bytes it brought, and who
            /// has sent it. What does not fit is lost.
            ///
            /// # Errors
            /// As [`receive`](Self::receive).
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn read_from(
                &mut self,
                buffer: &mut [u8],
            ) -> std::io::Result<(usize, $address)> {
                std::future::poll_fn(|cx| self.poll_read_from(cx, buffer)).await
            }

            /// Polls for what [`receive`](Self::receive) returns.
            pub fn poll_receive(
                &mut self,
                cx: &std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<$crate::net::Chunk>> {
                self.socket.poll_receive(cx)
            }

            /// Polls for what [`receive_from`](Self::receive_from) returns.
            pub fn poll_receive_from(
                &mut self,
                cx: &std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<($crate::net::Chunk, $address)>> {
                let (chunk, from) = std::task::ready!(self.socket.poll_receive_from(cx))?;
                std::task::Poll::Ready(Ok((chunk, $known(from)?)))
            }

            /// Polls for what [`read`](Self::read) returns.
            pub fn poll_read(
                &mut self,
                cx: &std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.socket.poll_read(cx, buffer)
            }

            /// Polls for what [`read_from`](Self::read_from) returns.
            pub fn poll_read_from(
                &mut self,
                cx: &std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<(usize, $address)>> {
                let taken = $crate::driver::Take::Out;
                let read = self.socket.poll_read_from(cx, buffer, taken);
                let (count, from) = std::task::ready!(read)?;
                std::task::Poll::Ready(Ok((count, $known(from)?)))
            }
        }
    };
}

/// What everything can do that datagrams go into.
macro_rules! datagrams_out {
    ($socket:ty) => {
        impl $socket {
            /// Sends one datagram to whom the socket is connected with, whole or not at all.
            /// Waits while the system has no room for it.
            ///
            /// # Errors
            /// What the operating system says, for example that it is not connected, or that
            /// the datagram is too large (`EMSGSIZE`); also what became of datagrams that were
            /// sent before, for example `ConnectionRefused`.
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has sent nothing.
            pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
                std::future::poll_fn(|cx| self.poll_send(cx, bytes)).await
            }

            /// Polls for what [`send`](Self::send) returns.
            pub fn poll_send(
                &mut self,
                cx: &std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<()>> {
                self.socket.poll_send(cx, bytes)
            }
        }
    };
}

pub(crate) use {datagrams_in, datagrams_out};
