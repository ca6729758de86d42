"""Manifests: one folder that says exactly which documents are mixed, how often and in which order, and can prove it."""
