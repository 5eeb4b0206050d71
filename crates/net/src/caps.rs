//! How many connections there may be, in all and of one address.
//!
//! This is a net against a flood of sockets, nothing finer: a seat among requests is the kernel's
//! to give. The excess is closed at once and counted, since any answer would cost more than it
//! helps.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// There are as many as there may be.
    Total,
    /// Its address has as many as one may have.
    Address,
}

impl ConnectionRefusal {
    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
        }
    }
}

/// Counts connections.
#[derive(Debug)]
pub struct ConnectionCaps {
    total: usize,
    per_address: usize,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionCaps {
    /// Lets in so many in all, so many of one address.
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            per_address,
            open: Mutex::default(),
        })
    }

    /// Takes a connection in. An exempt one (a trusted proxy's) counts for the total only.
    pub fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        exempt: bool,
    ) -> Result<ConnectionPermit, ConnectionRefusal> {
        let network = (!exempt).then(|| network(address));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total {
            return Err(ConnectionRefusal::Total);
        }
        if let Some(network) = network {
            let count = open.by_address.entry(network).or_default();
            if *count >= self.per_address {
                return Err(ConnectionRefusal::Address);
            }
            *count += 1;
        }
        open.total += 1;
        Ok(ConnectionPermit {
            caps: Arc::clone(self),
            network,
        })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total
    }
}

/// One connection that was let in; it leaves when this is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    caps: Arc<ConnectionCaps>,
    network: Option<IpAddr>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self
            .caps
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(network) = self.network
            && let Some(count) = open.by_address.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&network);
            }
        }
    }
}

/// The unit that is counted: an IPv4 address, or the /64 that one IPv6 customer has to choose
/// addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let prefix = u128::from(six) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn caps_are_kept_and_given_back() {
        let caps = ConnectionCaps::new(3, 2);
        let first = caps.enter(ip("10.0.0.1"), false).unwrap();
        let _second = caps.enter(ip("::ffff:10.0.0.1"), false).unwrap();
        assert_eq!(
            caps.enter(ip("10.0.0.1"), false).unwrap_err(),
            ConnectionRefusal::Address
        );
        let _proxy = caps.enter(ip("10.0.0.1"), true).unwrap();
        assert_eq!(
            caps.enter(ip("10.0.0.2"), true).unwrap_err(),
            ConnectionRefusal::Total
        );
        drop(first);
        assert_eq!(caps.open(), 2);
        let _again = caps.enter(ip("10.0.0.1"), false).unwrap();
    }

    #[test]
    fn one_ipv6_network_counts_as_one() {
        let caps = ConnectionCaps::new(10, 1);
        let _one = caps.enter(ip("2001:db8::1"), false).unwrap();
        assert!(caps.enter(ip("2001:db8::2"), false).is_err());
        assert!(caps.enter(ip("2001:db8:0:1::1"), false).is_ok());
    }
}
