"""What connects the domain to the world: one folder for each port, one file for each technology."""
