"""Floor 1: what is connected to what. No async, no I/O, no functions: names only."""
