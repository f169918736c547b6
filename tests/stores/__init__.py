"""Tests of what a store holds, and of how it is written."""
