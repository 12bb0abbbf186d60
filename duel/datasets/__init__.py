"""Data sets: one file each. Which there are, is what the folder holds (`duel.catalog`)."""
