"""What programs need of the machine: files, locks, signals, processes, flags, the terminal."""
