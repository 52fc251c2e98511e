"""From a command line to a checked plan: options, the machine, memory, and what a person sees meanwhile."""
