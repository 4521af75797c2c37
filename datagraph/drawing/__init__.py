"""Floor 3: pictures of graphs and snapshots: SVG of our own, and objects of the graphviz package."""
