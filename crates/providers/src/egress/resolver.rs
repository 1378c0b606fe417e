//! Resolves names for the guarded client, and lets only checked addresses through.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Names;
use super::url::allowed;
use crate::BoxError;

/// The machine's own resolver.
pub(super) struct System;

#[async_trait]
impl Names for System {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// What the client asks before each connection. It connects to what this returns,
/// and to nothing else.
pub(crate) struct Guarded {
    /// Who is asked in turn.
    pub(super) names: Arc<dyn Names>,
    /// Whether private addresses are let through.
    pub(super) allow_private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.names);
        let allow_private = self.allow_private;
        Box::pin(async move { checked(&*names, name.as_str(), allow_private).await })
    }
}

/// All addresses of a name. One that is not allowed refuses the name: who mixes
/// them hopes that the second try goes to the other.
async fn checked(names: &dyn Names, name: &str, allow_private: bool) -> Result<Addrs, BoxError> {
    let addresses = names.resolve(name).await?;
    for address in &addresses {
        allowed(address.ip(), allow_private)?;
    }
    Ok(Box::new(addresses.into_iter()))
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
    }
}
