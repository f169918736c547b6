"""Copies of a store's chunks that are nearer than it: in memory, and on a disk."""
