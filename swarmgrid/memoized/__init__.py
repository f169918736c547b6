"""Blocks of code whose effect on a state is computed once, kept, and replayed."""
