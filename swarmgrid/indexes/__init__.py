"""Approximate indexes of the vectors of an output, kept beside their grid."""
