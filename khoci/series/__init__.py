"""A patch series from a list: fetched, kept, put on a base, applied in a worktree of its own."""
