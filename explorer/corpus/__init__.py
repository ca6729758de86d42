"""Parquet corpora in place: files, roles, problems, columns, sidecars, SQL."""
