"""Rewrites beside their originals: which belong together, what was kept, lost and invented, and whether to trust them."""
