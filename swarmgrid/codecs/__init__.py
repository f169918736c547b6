"""Zarr's codecs: those that a user gives, and chunks as bytes by them."""
