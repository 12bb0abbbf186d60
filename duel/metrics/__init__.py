"""Metrics: how near generated samples are to real ones, each with its interval."""
