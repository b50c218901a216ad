"""Builds everything and holds no logic: configuration, commands, the composition root, the order of going down."""
