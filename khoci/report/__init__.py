"""Reports: stored results rendered for people and machines."""
