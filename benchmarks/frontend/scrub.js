// Moves the tab's own time line from the first step to the last, one place further in every frame.
// Returns the milliseconds between frames, and how many frames the map drew meanwhile.
(count) => new Promise((resolve) => {
  const { draws } = window.conceptmonMarks;
  const input = () => document.querySelector('.scrub input[type=range]');
  const last = Number(input().max);
  const deltas = [];
  let before = 0;
  let place = 0;
  let drawnBefore = 0;
  const advance = (now) => {
    if (before) deltas.push(now - before);
    else drawnBefore = draws.length;
    before = now;
    if (place > count) {
      const drawn = draws.slice(drawnBefore);
      resolve({ deltas, drawn: drawn.length, drawMs: drawn });
      return;
    }
    const slider = input();
    slider.value = String((place / count) * last);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    place++;
    requestAnimationFrame(advance);
  };
  requestAnimationFrame(advance);
})
