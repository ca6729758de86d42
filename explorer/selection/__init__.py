"""Which documents to keep: thresholds, predicates, samplers, recipes."""
