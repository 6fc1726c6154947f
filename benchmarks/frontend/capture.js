// Where the tab draws its map: the first argument of its renderer's next call.
async () => {
  const { CanvasRenderer } = await import(new URL('/data/plugin/conceptmon/static/map/canvas.js', location.href).href);
  const { draw } = CanvasRenderer.prototype;
  try {
    return await new Promise((resolve) => {
      CanvasRenderer.prototype.draw = function (frame, sheets) {
        if (sheets.length) resolve({ ...frame });
        return draw.call(this, frame, sheets);
      };
      const input = document.querySelector('.scrub input[type=range]');
      input.value = input.max / 2;
      input.dispatchEvent(new Event('input', { bubbles: true }));
    });
  } finally {
    CanvasRenderer.prototype.draw = draw;
  }
}
