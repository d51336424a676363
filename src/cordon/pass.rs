//! The pass list: addresses and networks that may pass and are not drained.

use crate::failure::{Explain, Explanation, Kind};
use ipnet::{IpNet, IpSubnets, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use std::net::IpAddr;

const MOST_NETWORKS: usize = 100_000;

/// Networks of both families, sorted, without overlaps and with neighbours merged:
/// an interval set in the kernel refuses overlapping elements.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<IpNet>", into = "Vec<IpNet>")]
pub struct PassList {
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

/// Why a pass list cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    #[error(
        "`{0}` is neither an address nor a network; write it like 10.0.0.5, 10.0.0.0/24 or 2001:db8::/32"
    )]
    Malformed(String),
    #[error(
        "`{0}` covers every address, so nothing would be blocked; name the networks that may pass"
    )]
    Everything(String),
    #[error("the pass list has {0} networks after merging; {MOST_NETWORKS} are the most")]
    TooMany(usize),
}

impl PassList {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Result<Self, PassError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => v4.push(network.trunc()),
                IpNet::V6(network) => v6.push(network.trunc()),
            }
        }
        let list = Self { v4: Ipv4Net::aggregate(&v4), v6: Ipv6Net::aggregate(&v6) };
        if list.len() > MOST_NETWORKS {
            return Err(PassError::TooMany(list.len()));
        }
        let all = list.networks().find(|network| network.prefix_len() == 0);
        match all {
            Some(all) => Err(PassError::Everything(all.to_string())),
            None => Ok(list),
        }
    }

    /// Reads one address or network. An IPv4-mapped IPv6 address becomes its IPv4 address.
    pub fn parse_network(text: &str) -> Result<IpNet, PassError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => {
                let network = text.parse::<IpNet>();
                let network = network.map_err(|_| PassError::Malformed(text.to_owned()))?;
                unmapped(network.trunc())
            }
        };
        if network.prefix_len() == 0 {
            return Err(PassError::Everything(text.to_owned()));
        }
        Ok(network)
    }

    /// By a binary search: the networks are sorted and do not overlap.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let after = self.v4.partition_point(|net| net.network() <= address);
                self.v4[..after].last().is_some_and(|net| net.contains(&address))
            }
            IpAddr::V6(address) => {
                let after = self.v6.partition_point(|net| net.network() <= address);
                self.v6[..after].last().is_some_and(|net| net.contains(&address))
            }
        }
    }

    pub fn with(&self, more: impl IntoIterator<Item = IpNet>) -> Result<Self, PassError> {
        Self::new(self.networks().chain(more))
    }

    /// This list without the addresses of `fewer`. A network of which only a part goes is split.
    pub fn without(&self, fewer: impl IntoIterator<Item = IpNet>) -> Result<Self, PassError> {
        let mut left: Vec<IpNet> = self.networks().collect();
        for gone in fewer {
            let nets = left.into_iter();
            left = nets.flat_map(|net| subtract(net, gone)).collect();
        }
        Self::new(left)
    }

    /// In ascending order.
    pub fn v4(&self) -> &[Ipv4Net] {
        &self.v4
    }

    /// In ascending order.
    pub fn v6(&self) -> &[Ipv6Net] {
        &self.v6
    }

    /// All networks, IPv4 first.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.v4.iter().copied().map(IpNet::V4);
        v4.chain(self.v6.iter().copied().map(IpNet::V6))
    }

    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first and last addresses of ranges, as the kernel keeps them.
    pub fn from_ranges(
        ranges: impl IntoIterator<Item = (IpAddr, IpAddr)>,
    ) -> Result<Self, PassError> {
        let networks = |range| match range {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Some(IpSubnets::V4(Ipv4Subnets::new(first, last, 0)))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Some(IpSubnets::V6(Ipv6Subnets::new(first, last, 0)))
            }
            _ => None,
        };
        Self::new(ranges.into_iter().filter_map(networks).flatten())
    }
}

impl TryFrom<Vec<IpNet>> for PassList {
    type Error = PassError;

    fn try_from(networks: Vec<IpNet>) -> Result<Self, Self::Error> {
        Self::new(networks)
    }
}

impl From<PassList> for Vec<IpNet> {
    fn from(list: PassList) -> Self {
        list.networks().collect()
    }
}

/// Turns a network of IPv4-mapped IPv6 addresses into its IPv4 network.
fn unmapped(network: IpNet) -> IpNet {
    let (IpNet::V6(v6), Some(length)) = (network, network.prefix_len().checked_sub(96)) else {
        return network;
    };
    match v6.network().to_ipv4_mapped() {
        Some(v4) => Ipv4Net::new(v4, length).map_or(network, IpNet::V4),
        None => network,
    }
}

/// What is left of `network` without `gone`.
fn subtract(network: IpNet, gone: IpNet) -> Vec<IpNet> {
    if gone.contains(&network) {
        return Vec::new();
    }
    if !network.contains(&gone) {
        return vec![network];
    }
    match network.subnets(network.prefix_len() + 1) {
        Ok(halves) => halves.flat_map(|half| subtract(half, gone)).collect(),
        Err(_) => Vec::new(),
    }
}

impl PassError {
    /// What may stand in a pass list.
    pub fn hint() -> Explanation {
        Kind::PassList
            .hint("give addresses, networks, interface:NAME or @FILE with one of them a line")
    }
}

impl Explain for PassError {
    fn explain(&self) -> Explanation {
        Self::hint()
    }
}
