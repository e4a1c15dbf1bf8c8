"""What serialising costs: a driver of khoci's own in the guest, counted by QEMU."""
