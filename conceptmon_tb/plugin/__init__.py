"""The TensorBoard plugin: what it takes to read concept data and to serve the tab.

`loader` starts it and `app` has the routes. `source` asks the data provider, with `tensor_guard` at its side;
`records` verifies and remembers, `index` keeps what every run holds as `layers` lists and `entry` describes
it, `lookup` finds what a request names.
`answers` shapes replies, with `neurons` (stacks of steps), `cards` (one neuron), `distances` and `words`.

TensorBoard imports `loader` at every start, so nothing in this package may import torch, open_clip, umap or
numba, but for the process that embeds typed words (`encoder_worker`, run by `live_words`). Only event data is
served, and only through TensorBoard's own data provider: remote log directories, reload, purge and access
control then work as for every other tab.
"""
