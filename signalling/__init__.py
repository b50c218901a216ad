"""LiveKit's protocol and the APIs around it: sessions, WebSocket, Twirp. Media is the sfu's business."""
