"""Does anything grow while a training is written and watched for a long time?

Every second an epoch is written by a real ConceptWriter and a route is asked for; now and then a reader does
something in the tab, in Chromium. So it goes for `--minutes`. Runs are short, and the oldest is removed when
a new one begins, so that after the warm-up there is always the same amount to hold: what grows is a leak.
Memory, open handles and threads of the writer, of TensorBoard, of its data server and of the page are read
every few seconds, and a straight line through them has a slope with an error. It sleeps most of the time.

The resident set of TensorBoard's process also rises while Python holds no more: glibc keeps what short-lived
threads freed. Where it is said to grow, `tracemalloc` in that process tells the two apart: over 240 epochs it
held 11.4, then 11.8 MB (the bounded caches of distances), while the resident set rose by several times that.

    python -m benchmarks.soak --minutes 30 --write
"""
