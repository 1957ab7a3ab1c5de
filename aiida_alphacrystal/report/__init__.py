"""Show results to people and to other programs."""
