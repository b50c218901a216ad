"""What a participant says about itself or was given: its name, metadata, attributes and permissions."""

from common.errors import RemoteError
from sfu.ports import PeerPort
from signalling.limits import MAX_ATTRIBUTES, MAX_METADATA, MAX_NAME


def facts_of(peer: PeerPort) -> tuple[object, ...]:
    """All of them, to be compared; its tracks and state are not among them."""
    return (peer.name, peer.metadata, tuple(sorted(peer.attributes.items())), peer.permissions)


def check_facts(name: str, metadata: str, attributes: dict[str, str]) -> None:
    """Their sizes. Raises RemoteError `limit_exceeded`."""
    size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    if len(name) > MAX_NAME or len(metadata.encode()) > MAX_METADATA or size > MAX_ATTRIBUTES:
        raise RemoteError("limit_exceeded", "name, metadata or attributes are too long")
