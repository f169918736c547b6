"""The lazy xarray view of a stored grid."""
