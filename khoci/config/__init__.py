"""Matrix files: TOML in, typed frozen models out; every error names file, table and key."""
