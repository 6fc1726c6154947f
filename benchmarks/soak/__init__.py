"""Does anything grow while a training is written and watched for a long time?

Every second an epoch is written by a real ConceptWriter and a route is asked for; now and then a reader does
something in the tab, in Chromium. So it goes for `--minutes`. Runs are short, and the oldest is removed when
a new one begins, so that after the warm-up there is always the same amount to hold: what grows is a leak.
Memory, open handles and threads of the writer, of TensorBoard, of its data server and of the page are read
every few seconds, and a straight line through them has a slope with an error. It sleeps most of the time.

    python -m benchmarks.soak --minutes 30 --write
"""
