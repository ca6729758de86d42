"""Where scoring runs: threads on this machine."""
