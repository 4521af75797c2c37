"""One file for each thing that is measured; `registry.py` lists them."""
