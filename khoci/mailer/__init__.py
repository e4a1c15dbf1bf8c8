"""Mail that is sent: what git is set up with, guards, and what was sent before."""
