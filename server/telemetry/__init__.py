"""What the server counts about itself, and how it hands the numbers to the sidecar."""
