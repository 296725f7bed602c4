"""The command line: one file per command. Owns exit codes, the terminal and the environment, and nothing else."""
