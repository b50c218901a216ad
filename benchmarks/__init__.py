"""Measurements. Timing never decides a test; it belongs here."""
