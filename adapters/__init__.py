"""The connections to other systems: one folder for each port, one file for each technology."""
