"""Rooms, peers, publications and subscriptions. `sfu.model` and `sfu.events` belong to the surface as well."""
