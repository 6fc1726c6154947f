"""How fast the tab opens and moves, through TensorBoard's own page in Chromium with the software renderer.

`python -m benchmarks.frontend` measures and prints ratios; with `--write` it also writes
`docs/frontend_performance.md`.
"""
