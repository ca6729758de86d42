"""Published text heuristics, one family a file; modules here are found automatically (`explorer.registry`)."""
