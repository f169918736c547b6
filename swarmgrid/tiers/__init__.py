"""Copies of a store's chunks that are nearer than it: in memory, on a disk, on a device."""
