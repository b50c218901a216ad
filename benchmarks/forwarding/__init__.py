"""What forwarding a packet costs on this machine: measured by `dataplane/loadgen`, rendered here."""
