"""One interface, several engines: this process, threads, processes, a cluster."""
