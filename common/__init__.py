"""Words that every package uses: identities, time, errors, redaction. Standard library only, no I/O."""
