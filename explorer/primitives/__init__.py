"""What most published heuristics are made of, computed once a batch over Arrow's buffers: words, lines, n-grams."""
