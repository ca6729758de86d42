"""Checks of a rewrite against its original, one technique a file; modules here are found by themselves."""
