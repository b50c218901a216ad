//! What can go wrong when a plane is built or commanded: the caller's mistakes and the machine's refusals.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why the control plane's wish was not carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlaneError {
    /// A value that cannot work.
    Config(String),
    /// A socket could not be bound.
    Bind {
        /// Which address and port.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A TCP port could not be listened on.
    Listen {
        /// Which address and port.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The machine refused a descriptor or a thread.
    System(io::Error),
    /// A lane does not take its commands and the queue of waiting ones is full.
    QueueFull,
}

impl fmt::Display for PlaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(message) => f.write_str(message),
            Self::Bind { address, source } => write!(f, "cannot bind UDP {address}: {source}"),
            Self::Listen { address, source } => {
                write!(f, "cannot listen on TCP {address}: {source}")
            }
            Self::System(source) => write!(f, "the data plane cannot start: {source}"),
            Self::QueueFull => f.write_str("the data plane does not take commands any more"),
        }
    }
}

impl std::error::Error for PlaneError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Listen { source, .. } | Self::System(source) => {
                Some(source)
            }
            Self::Config(_) | Self::QueueFull => None,
        }
    }
}

impl From<io::Error> for PlaneError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
