"""The live page: a server that shows a store while other processes compute; it only reads."""
