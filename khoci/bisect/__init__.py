"""Which change turned a cell: over the patches of a series, or the commits of a tree."""
