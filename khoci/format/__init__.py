"""Pure decoders: bytes of guest memory in, frozen values out."""
