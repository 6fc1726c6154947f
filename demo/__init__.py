"""The demo: trains a small residual network, healthy and poorly, under Concept Monitor.

`network` is the network, `pictures` the training data, `training` the loop (with the one monitoring
line that a user would add), `story` what the thesis claims against what was measured.
"""
