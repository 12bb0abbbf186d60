"""Diagnoses: what is wrong with a training, seen in its records, and what to change."""
