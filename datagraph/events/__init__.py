"""Floor 2: what happened, and what a run looks like at one moment."""
