"""Session descriptions: text in, typed values and agreements out. No I/O, no clock, no state between calls."""
