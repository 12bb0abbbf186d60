"""Feature spaces: what a metric compares in place of pixels."""
