"""A participant in Python: speaks the client protocol over a WebSocket and media through aiortc.

`conclave publish` and the media check of `conclave doctor` are made of it. It knows nothing of the server's
insides: it could as well be on another machine.
"""
