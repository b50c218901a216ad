"""Tools for people who work on Conclave; nothing of it is installed."""
