"""Checks an audit log offline. Shares no code with what wrote it: only the format connects them."""
