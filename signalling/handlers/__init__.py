"""What each message of a client does.

A handler takes the session, the request and `now` (monotonic seconds); it raises RemoteError to refuse.
"""
