"""The command line: `recordings`. There is one module for each group of commands; start reading at `main`."""
