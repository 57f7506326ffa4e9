"""Many runs: their folder, the processes that train them, and how long that may take."""
