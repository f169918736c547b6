"""The notation of the shell: values, conditions, names of functions, files of sweeps."""
