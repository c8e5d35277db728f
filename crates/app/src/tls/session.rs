//! TLS as bytes in, bytes out: a session of rustls and the bytes that it has not done with. No
//! socket here.
//!
//! rustls is used without its own buffers, so that a connection that waits has none.

use monoloop_runtime::net::Chunk;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error, ServerConfig};
use std::mem;
use std::sync::Arc;

/// What a record adds to its bytes at most: 5 of header, 8 of nonce and 16 of tag in TLS 1.2, less
/// in TLS 1.3, and some to spare.
const RECORD_OVERHEAD: usize = 64;

/// Bytes of one record (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// What has come of a record, or of a message of the handshake, that is not whole yet. rustls
    /// refuses records and messages above 64 KiB, so it stays below that and a chunk.
    incoming: Vec<u8>,
    /// What has to be sent, and how much of it was.
    outgoing: Vec<u8>,
    sent: usize,
    /// What was deciphered and had no room in the chunk that it was meant for.
    opened: Vec<u8>,
    /// The peer has said that nothing more will come.
    pub(super) peer_has_closed: bool,
    /// Nothing can be understood or said any more, but what is in `outgoing`.
    pub(super) has_failed: bool,
    says_goodbye: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Session {
            connection: UnbufferedServerConnection::new(config)?,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            opened: Vec::new(),
            peer_has_closed: false,
            has_failed: false,
            says_goodbye: false,
        })
    }

    /// What rustls knows of the session.
    pub(super) fn state(&self) -> &CommonState {
        &self.connection
    }

    /// Takes what was received, and puts what is deciphered into `opened`, as far as there is
    /// room; the rest waits for [`take_opened`](Session::take_opened).
    pub(super) fn receive(
        &mut self,
        received: &mut [u8],
        opened: Option<&mut Chunk>,
    ) -> Result<(), Error> {
        if self.incoming.is_empty() {
            let used = self.go_on(received, opened, |_, _| Ok(()))?;
            self.incoming.extend_from_slice(&received[used..]);
            return Ok(());
        }
        let mut incoming = mem::take(&mut self.incoming);
        incoming.extend_from_slice(received);
        let used = self.go_on(&mut incoming, opened, |_, _| Ok(()))?;
        incoming.drain(..used);
        if !incoming.is_empty() {
            self.incoming = incoming;
        }
        Ok(())
    }

    /// What waits of what was deciphered.
    pub(super) fn take_opened(&mut self, into: &mut Chunk) {
        let count = into.append(&self.opened);
        self.opened.drain(..count);
        if self.opened.is_empty() {
            self.opened = Vec::new();
        }
    }

    pub(super) fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Enciphers, to be sent.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let records = bytes.len().div_ceil(RECORD_BYTES_MAX) + 1;
        let room = bytes.len() + records * RECORD_OVERHEAD;
        self.write(|mut traffic, outgoing| {
            append(outgoing, room, |out| traffic.encrypt(bytes, out))
        })
    }

    /// Tells the peer that nothing more will be sent, once.
    pub(super) fn say_goodbye(&mut self) {
        if self.has_failed || mem::replace(&mut self.says_goodbye, true) {
            return;
        }
        // It fails when there are no keys yet, and then there is nothing to be ended.
        let _ = self.write(|mut traffic, outgoing| {
            append(outgoing, 2 * RECORD_OVERHEAD, |out| {
                traffic.queue_close_notify(out)
            })
        });
    }

    fn write(
        &mut self,
        write: impl FnOnce(WriteTraffic<'_, ServerData>, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // What has come of a message is pointed at by rustls, so it has to see it each time.
        let mut incoming = mem::take(&mut self.incoming);
        let mut wrote = false;
        let used = self.go_on(&mut incoming, None, |traffic, outgoing| {
            wrote = true;
            write(traffic, outgoing)
        })?;
        incoming.drain(..used);
        self.incoming = incoming;
        match wrote {
            true => Ok(()),
            false => Err(Error::HandshakeNotComplete),
        }
    }

    /// Has rustls look at all that has come, and calls `write` if something can be sent then.
    /// Returns how many bytes of `incoming` are done with.
    fn go_on(
        &mut self,
        incoming: &mut [u8],
        mut opened: Option<&mut Chunk>,
        write: impl FnOnce(WriteTraffic<'_, ServerData>, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state, .. } =
                self.connection.process_tls_records(&mut incoming[used..]);
            let mut done = used + discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        done += record.discard;
                        let taken = match &mut opened {
                            // Nothing overtakes what waits already.
                            Some(chunk) if self.opened.is_empty() => chunk.append(record.payload),
                            _ => 0,
                        };
                        self.opened.extend_from_slice(&record.payload[taken..]);
                    }
                }
                // It is not asked for, because it may be a replay (RFC 8446 §8).
                Ok(ConnectionState::ReadEarlyData(mut early)) => {
                    while early.next_record().is_some() {}
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing)?,
                // What is in `outgoing` goes out before anything that is put behind it.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_has_closed = true,
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    write(traffic, &mut self.outgoing)?;
                    // What comes behind the end is not looked at.
                    return Ok(if self.peer_has_closed {
                        incoming.len()
                    } else {
                        done
                    });
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) | Ok(_) => {
                    return Ok(done);
                }
                Err(error) => {
                    self.fail(&mut incoming[done..]);
                    return Err(error);
                }
            }
            used = done;
        }
    }

    /// Has the alert sent that tells the peer what was wrong.
    fn fail(&mut self, incoming: &mut [u8]) {
        self.has_failed = true;
        // Not once more than that: what was wrong would be found wrong again.
        while self.connection.wants_write() {
            let status = self.connection.process_tls_records(incoming);
            let Ok(ConnectionState::EncodeTlsData(data)) = status.state else {
                break;
            };
            if encode(data, &mut self.outgoing).is_err() {
                break;
            }
        }
    }

    /// What is to be sent.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// So much of it was sent. Memory is held only while there is more.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.outgoing.len() {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
    }
}

type ServerData = rustls::server::ServerConnectionData;

fn encode(mut data: EncodeTlsData<'_, ServerData>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    let start = outgoing.len();
    let mut room = RECORD_OVERHEAD * 64;
    loop {
        outgoing.resize(start + room, 0);
        match data.encode(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) => room = size.required_size,
            Err(EncodeError::AlreadyEncoded) => unreachable!("it is encoded once"),
        }
    }
}

fn append(
    outgoing: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Error> {
    let start = outgoing.len();
    loop {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(size)) => room = size.required_size,
            Err(EncryptError::EncryptExhausted) => {
                outgoing.truncate(start);
                return Err(Error::EncryptError);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Pem, TlsConfig};
    use rustls::client::ClientConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConnection, RootCertStore};
    use std::io::{Read, Write};

    /// The two ends of a connection that are not connected.
    fn ends() -> (ClientConnection, Session) {
        let names = vec!["localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let config = TlsConfig::new(Pem::text(&certificate), Pem::text(&key));
        let config = crate::tls::load::load(&config).expect("it was made just now");
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        roots.add(root).expect("a certificate");
        let provider = rustls::crypto::ring::default_provider();
        let client = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(client.into(), name).expect("a client");
        (client, Session::new(config).expect("a session"))
    }

    fn sent(client: &mut ClientConnection) -> Vec<u8> {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("it fits");
        }
        sent
    }

    /// Has both say what they have to say until neither has.
    fn converse(client: &mut ClientConnection, server: &mut Session) {
        loop {
            let mut flight = sent(client);
            server.receive(&mut flight, None).expect("no fault");
            let mut answer = server.outgoing();
            if flight.is_empty() && answer.is_empty() {
                return;
            }
            while !answer.is_empty() {
                client.read_tls(&mut answer).expect("it is in memory");
                client.process_new_packets().expect("no fault");
            }
            server.advance(server.outgoing().len());
        }
    }

    fn memory(session: &Session) -> usize {
        session.incoming.capacity() + session.outgoing.capacity() + session.opened.capacity()
    }

    #[test]
    fn a_session_that_waits_holds_no_buffer() {
        let (mut client, mut server) = ends();
        assert_eq!(memory(&server), 0);
        converse(&mut client, &mut server);
        assert!(!server.state().is_handshaking());
        assert_eq!(memory(&server), 0);

        client.writer().write_all(b"ping").expect("room");
        let mut record = sent(&mut client);
        let (mut first, mut second) = (record[..9].to_vec(), record.split_off(9));
        server.receive(&mut first, None).expect("no fault");
        assert!(memory(&server) > 0, "half a record has to be somewhere");
        // Something is sent while half a record is there.
        server.seal(b"pong").expect("no fault");
        server.receive(&mut second, None).expect("no fault");
        assert_eq!(mem::take(&mut server.opened), b"ping");
        converse(&mut client, &mut server);
        let mut pong = [0; 4];
        client.reader().read_exact(&mut pong).expect("it came");
        assert_eq!(&pong, b"pong");
        assert_eq!(memory(&server), 0);
    }

    #[test]
    fn what_is_damaged_is_refused_or_waited_for_and_never_a_panic() {
        for seed in 0..400 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut client, mut server) = ends();
            // In the hello, in the end of the handshake, or in what follows it.
            for flight in 0..3 {
                if flight == 2 {
                    client.writer().write_all(b"some bytes").expect("room");
                }
                let mut bytes = sent(&mut client);
                let is_damaged = random.u8(0..3) == 0;
                if is_damaged && !bytes.is_empty() {
                    for _ in 0..random.usize(1..4) {
                        let at = random.usize(0..bytes.len());
                        bytes[at] = random.u8(..);
                    }
                    bytes.truncate(random.usize(0..=bytes.len()));
                }
                let pieces = random.usize(1..200);
                let received = bytes
                    .chunks_mut(pieces)
                    .try_for_each(|piece| server.receive(piece, None));
                if received.is_err() {
                    assert!(server.has_failed);
                    break;
                }
                let _ = server.seal(b"an answer");
                let mut answer = server.outgoing();
                while !answer.is_empty() && client.read_tls(&mut answer).is_ok() {
                    if client.process_new_packets().is_err() {
                        break;
                    }
                }
                server.advance(server.outgoing().len());
            }
            assert!(memory(&server) < 128 * 1024);
        }
    }
}
