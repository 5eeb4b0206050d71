//! How many connections there may be, in all and of one address.
//!
//! This is a net against a flood of sockets, nothing finer: a seat among requests is the kernel's
//! to give. The excess is closed at once and counted, since any answer would cost more than it
//! helps.

use std::net::IpAddr;
use std::sync::Arc;

use seawall_limit::{KeyedLimiter, KeyedPermit, Limit, Limiter, Permit};

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
    total: Limiter,
    by_network: KeyedLimiter<IpAddr>,
}

impl ConnectionCaps {
    /// Lets in so many in all, so many of one address.
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            total: Limiter::new("connections", Limit::of(total)),
            by_network: KeyedLimiter::new("connections.address", per_address),
        })
    }

    /// Takes a connection in. An exempt one (a trusted proxy's) counts for the total only.
    pub fn enter(
        &self,
        address: IpAddr,
        exempt: bool,
    ) -> Result<ConnectionPermit, ConnectionRefusal> {
        let total = self.total.try_acquire();
        let total = total.map_err(|_| ConnectionRefusal::Total)?;
        let of_network = (!exempt).then(|| self.by_network.try_acquire(network(address)));
        let of_network = of_network.transpose();
        Ok(ConnectionPermit {
            _total: total,
            _of_network: of_network.map_err(|_| ConnectionRefusal::Address)?,
        })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.total.in_use()
    }
}

/// One connection that was let in; it leaves when this is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    _total: Permit,
    _of_network: Option<KeyedPermit<IpAddr>>,
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
