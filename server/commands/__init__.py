"""The commands behind `conclave`, one file each. They read arguments, call the rest and choose exit codes."""
