"""Rewrites made with a prompt: by a model here, behind an endpoint, or elsewhere by files of requests and answers."""
