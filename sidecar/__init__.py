"""Keeps audit events: a process of its own with a log that proves itself."""
