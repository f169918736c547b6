"""The data read without the library: xarray, tensorstore and zarrita, each in its own process."""
