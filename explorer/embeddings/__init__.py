"""Texts as vectors: encoders, the job that keeps them, and what is read off them (search, projection, clusters)."""
