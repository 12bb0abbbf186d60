"""Named recipes (TOML). The file name is the recipe's name."""
