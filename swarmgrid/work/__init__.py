"""Deciding what to compute, computing it, and bringing it home."""
