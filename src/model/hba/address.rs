//! The addresses that a rule is about: which contains which, and which a connection comes from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where connections come from, as a rule says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `all`
    All,
    /// `samehost`: any of the server's own addresses.
    SameHost,
    /// `samenet`: any address in the server's own networks.
    SameNet,
    /// An address with its mask.
    Net(IpAddr, IpAddr),
    /// A host name, or the end of one that begins with a dot.
    Name(String),
}

impl Address {
    /// As `pg_hba_file_rules` shows it: an address has a mask, a name has none.
    pub fn of_view(address: &str, mask: Option<&str>) -> Address {
        match (address, mask.and_then(|mask| mask.parse().ok()), address.parse()) {
            ("all", _, _) => Address::All,
            ("samehost", _, _) => Address::SameHost,
            ("samenet", _, _) => Address::SameNet,
            (_, Some(mask), Ok(net)) => Address::Net(net, mask),
            _ => Address::Name(address.to_owned()),
        }
    }

    #[cfg(test)]
    pub(super) fn of_file(text: &str) -> Address {
        let Some((address, length)) = text.split_once('/') else { return Address::of_view(text, None) };
        let length: u32 = length.parse().unwrap();
        let mask = match address.parse::<IpAddr>().unwrap() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::MAX.checked_shl(32 - length).unwrap_or(0))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(u128::MAX.checked_shl(128 - length).unwrap_or(0))),
        };
        Address::of_view(address, Some(&mask.to_string()))
    }

    /// The length of its mask, where it is one run of bits.
    fn prefix(mask: &IpAddr) -> Option<u32> {
        let (bits, width) = match mask {
            IpAddr::V4(mask) => (u128::from(u32::from(*mask)) << 96, 32),
            IpAddr::V6(mask) => (u128::from(*mask), 128),
        };
        let length = bits.leading_ones();
        (bits.checked_shl(length).unwrap_or(0) == 0).then_some(length.min(width))
    }

    /// Whether only this machine itself can come from there.
    pub fn is_own(&self) -> bool {
        match self {
            Address::SameHost => true,
            Address::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Address::All | Address::SameNet => false,
            Address::Net(..) => {
                let loopback = |net: IpAddr, mask: IpAddr| Address::Net(net, mask).contains(self);
                loopback(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), IpAddr::V4(Ipv4Addr::new(255, 0, 0, 0)))
                    || loopback(IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::from(u128::MAX)))
            }
        }
    }

    /// Whether everybody can come from there.
    pub fn is_anywhere(&self) -> bool {
        match self {
            Address::All => true,
            Address::Net(_, mask) => mask.is_unspecified(),
            _ => false,
        }
    }

    /// Whether every address of `other` is one of these, as far as that can be said without the server's networks.
    pub(super) fn contains(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::All, _) => true,
            (Address::SameNet, Address::SameHost) => true,
            (Address::Name(a), Address::Name(b)) => {
                a.eq_ignore_ascii_case(b)
                    || a.starts_with('.') && b.to_ascii_lowercase().ends_with(&a.to_ascii_lowercase())
            }
            (Address::Net(net, mask), Address::Net(inner, narrower)) => match (bits(net), bits(inner)) {
                ((a, v6), (b, inner_v6)) if v6 == inner_v6 => {
                    let (mask, narrower) = (bits(mask).0, bits(narrower).0);
                    mask & narrower == mask && a & mask == b & mask
                }
                _ => false,
            },
            (a, b) => a == b && !matches!(a, Address::Net(..)),
        }
    }

    /// Its halves by family, where it is about both: each may be decided elsewhere.
    pub(super) fn families(&self) -> Vec<Address> {
        match self {
            Address::All => vec![
                Address::Net(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                Address::Net(IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            ],
            other => vec![other.clone()],
        }
    }

    /// Whether a connection from this address is meant; `None` where only the server can tell.
    pub(super) fn fits(&self, from: IpAddr) -> Option<bool> {
        let exact = |ip: IpAddr| match ip {
            IpAddr::V4(_) => Address::Net(ip, IpAddr::V4(Ipv4Addr::BROADCAST)),
            IpAddr::V6(_) => Address::Net(ip, IpAddr::V6(Ipv6Addr::from(u128::MAX))),
        };
        match self {
            Address::All => Some(true),
            Address::Net(..) => Some(self.contains(&exact(from))),
            Address::SameNet if from.is_loopback() => Some(true),
            Address::SameHost if from == IpAddr::V4(Ipv4Addr::LOCALHOST) || from == IpAddr::V6(Ipv6Addr::LOCALHOST) => {
                Some(true)
            }
            Address::SameHost if from.is_loopback() => Some(false),
            Address::SameHost | Address::SameNet | Address::Name(_) => None,
        }
    }
}

/// As it would be written in a file.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::All => f.write_str("all"),
            Address::SameHost => f.write_str("samehost"),
            Address::SameNet => f.write_str("samenet"),
            Address::Name(name) => f.write_str(name),
            Address::Net(net, mask) => match Address::prefix(mask) {
                Some(length) => write!(f, "{net}/{length}"),
                None => write!(f, "{net} {mask}"),
            },
        }
    }
}

fn bits(ip: &IpAddr) -> (u128, bool) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(*ip)), false),
        IpAddr::V6(ip) => (u128::from(*ip), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_nets_contain_narrower_ones() {
        let cases = [
            ("10.0.0.0/8", "10.1.2.0/24", true),
            ("10.1.2.0/24", "10.0.0.0/8", false),
            ("0.0.0.0/0", "10.0.0.0/8", true),
            ("0.0.0.0/0", "::/0", false),
            ("::/0", "fe80::/10", true),
            ("all", "samenet", true),
            ("samenet", "samehost", true),
            ("samehost", "samenet", false),
            (".example.org", "db.Example.org", true),
            (".example.org", "example.org", false),
            ("a.example.org", "a.example.org", true),
            ("10.0.0.0/8", "samehost", false),
        ];
        for (outer, inner, expected) in cases {
            assert_eq!(Address::of_file(outer).contains(&Address::of_file(inner)), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in
            ["10.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0", "::1/128", "fe80::/10", "::/0", "samenet", ".example.org"]
        {
            assert_eq!(Address::of_file(text).to_string(), text);
        }
        assert_eq!(Address::of_view("10.0.0.1", Some("255.0.0.255")).to_string(), "10.0.0.1 255.0.0.255");
    }

    #[test]
    fn own_addresses_are_known() {
        for (text, own) in [
            ("127.0.0.1/32", true),
            ("127.0.0.0/8", true),
            ("::1/128", true),
            ("samehost", true),
            ("localhost", true),
            ("127.0.0.0/7", false),
            ("10.0.0.1/32", false),
            ("::/0", false),
            ("all", false),
            ("samenet", false),
        ] {
            assert_eq!(Address::of_file(text).is_own(), own, "{text}");
        }
        assert!(Address::of_file("0.0.0.0/0").is_anywhere() && !Address::of_file("0.0.0.0/1").is_anywhere());
    }
}
