"""What a handover is, for people and programs: text, JSON, a graph, checks, other readings."""
