//! Binding listening sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections may wait to be accepted. The system lowers it to its own limit.
const BACKLOG: i32 = 4_096;

/// Binds one of the addresses in `all`.
///
/// An IPv6 socket takes IPv6 only. The one exception is `[::]` where no IPv4 address with the same
/// port is to be bound: it takes IPv4 as well, since that is what people mean by it. On a machine
/// without IPv6, it becomes `0.0.0.0`.
pub fn bind(address: SocketAddr, all: &[SocketAddr]) -> io::Result<TcpListener> {
    let everything = address.is_ipv6() && address.ip().is_unspecified();
    let both = everything
        && !all
            .iter()
            .any(|other| other.is_ipv4() && other.port() == address.port() && address.port() != 0);
    match listen(address, both) {
        Err(error) if both && without_ipv6(&error) => listen(
            SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()),
            false,
        ),
        other => other,
    }
}

fn listen(address: SocketAddr, both: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!both)?;
    }
    // A restarted server must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Linux says EAFNOSUPPORT where IPv6 is not there, EADDRNOTAVAIL where it is switched off.
fn without_ipv6(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(97)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_alone_takes_both() {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let listener = bind(any, &[any]).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn beside_an_ipv4_listener_it_takes_ipv6_only() {
        let probe = bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), &[]).unwrap();
        let four = probe.local_addr().unwrap();
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), four.port());
        // Where the machine has IPv6 at all, both can be bound at once.
        match bind(any, &[four, any]) {
            Ok(listener) => assert!(listener.local_addr().unwrap().is_ipv6()),
            Err(error) => assert!(without_ipv6(&error), "{error}"),
        }
    }
}
