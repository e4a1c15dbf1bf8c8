"""Where the decoders' bytes come from: files, dumps and the running machine."""
