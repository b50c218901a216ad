"""How the server keeps its audit log: the sidecar's process, the trail to it, what acts are called there."""
