"""The command line: `recordings`. One module for each group of commands; begin with `main`."""
