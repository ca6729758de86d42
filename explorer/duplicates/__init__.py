"""Documents that repeat one another: exactly, nearly (MinHash), line by line, or in meaning; from text to groups."""
