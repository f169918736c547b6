"""The outputs of a function: names, shapes, dtypes, encodings; and results held against them."""
