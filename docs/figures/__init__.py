"""The figures of the theory and concept pages: pure functions for the numbers, one function for each picture.

`make figures` writes them all to docs/pictures/theory.
"""
