"""The demo: trains a small residual network, healthy and poorly, under Concept Monitor.

`network` is the network, `pictures` the training data, `training` the loop (with the one monitoring
line that a user would add), `story` what the thesis claims against what was measured.
"""

import os

# Threads that wait must not hold a core that another process could use: on a busy machine two spinning
# threads are many times slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
