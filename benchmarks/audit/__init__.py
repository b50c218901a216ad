"""What the audit log costs, and what it costs others."""
