"""The TensorBoard plugin: what it takes to read concept data and to serve the tab.

`loader` starts it, `source` asks the data provider, `records` and `index` decode and remember, `answers`
shapes replies, `app` has the routes.

TensorBoard imports `loader` at every start, so nothing in this package may import torch, open_clip,
umap or numba. Only event data is served, and only through TensorBoard's own data provider: remote log
directories, reload, purge and access control then work as for every other tab.
"""
