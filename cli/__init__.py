"""The command line: `main` has the commands, each other module the body of one: `register(app)`."""

import os

# Before torch is loaded: threads of GCC's OpenMP that spin for work take a busy machine's cores
# from those that have some. With one of two cores taken, two images took over a minute, so 8 s.
os.environ.setdefault("GOMP_SPINCOUNT", "0")
