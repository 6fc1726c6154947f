"""Does anything grow while a training is written and watched for a long time?

Every second an epoch is written by a real ConceptWriter and a route is asked for; now and then a reader does
something in the tab, in Chromium. So it goes for `--minutes`. Runs are short, and the oldest is removed when
a new one begins, so that after the warm-up there is always the same amount to hold: what grows is a leak.
Memory, open handles and threads of the writer, of TensorBoard, of its data server and of the page are read
every few seconds, and a straight line through them has a slope with an error. It sleeps most of the time.

Where a resident set grows, `tracemalloc` in that process tells whether Python holds more. If not, the C
library keeps what was freed: TensorBoard's threads share one heap for that reason
(`conceptmon_tb/plugin/heap.py`).
MALLOC_ARENA_MAX=16 in the environment shows what became of TensorBoard's process on two cores without.

    python -m benchmarks.soak --minutes 30 --write
"""
