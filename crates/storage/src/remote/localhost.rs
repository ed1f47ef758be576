//! Names of hosts: those that end in `.localhost` are this machine (RFC 6761), whatever the system's
//! resolver thinks of them, so that `{bucket}.localhost` is one; all others are the system's affair.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use milvus_base::io;
use object_store::client::{DnsError, DnsFuture, DnsResolver};

#[derive(Debug)]
pub(super) struct Localhost;

impl DnsResolver for Localhost {
    fn resolve(&self, host: &str) -> DnsFuture {
        let host = host.to_owned();
        Box::pin(async move { addresses(host).await })
    }
}

impl reqwest::dns::Resolve for Localhost {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found = addresses(host).await?.into_iter();
            // The port is that of the URL.
            Ok(Box::new(found.map(|address| SocketAddr::new(address, 0))) as reqwest::dns::Addrs)
        })
    }
}

async fn addresses(host: String) -> Result<Vec<IpAddr>, DnsError> {
    if is_localhost(&host) {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let found = io::run(move || (host.as_str(), 0).to_socket_addrs().map(Vec::from_iter)).await??;
    let mut found: Vec<IpAddr> = found.into_iter().map(|address| address.ip()).collect();
    // Of the many addresses of a large store, each connection takes another.
    let turn = milvus_base::random::u64() % (found.len().max(1) as u64);
    found.rotate_left(usize::try_from(turn).unwrap_or(0));
    Ok(found)
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_under_localhost_are_this_machine_and_no_others() {
        for name in ["bucket.localhost", "A.B.LOCALHOST", "bucket.localhost."] {
            assert_eq!(addresses(name.to_owned()).await.unwrap(), [Ipv4Addr::LOCALHOST]);
        }
        for name in ["localhost", "localhost.example.com", "notlocalhost"] {
            assert!(!is_localhost(name), "{name}");
        }
        assert!(addresses("localhost".to_owned()).await.unwrap()[0].is_loopback());
    }
}
