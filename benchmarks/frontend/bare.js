// The bare renderer: the tab's own renderer, and nothing else, draws the same points at the same size.
const at = (name) => import(new URL(`/data/plugin/conceptmon/static/${name}`, location.href).href);

const [{ createRenderer }, { createApi }, layers, { paintLayer }, { spaceFromContainer }, { createPalette }, { signal }] = await Promise.all(
  ['map/renderer.js', 'api.js', 'model/layer.js', 'model/paint.js', 'model/space.js', 'theme.js', 'lib.js'].map(at),
);
const api = createApi(new URL('/data/plugin/conceptmon/', location.href).href);
const canvas = document.querySelector('canvas');
const STEPS_PER_ANSWER = 4;

/** Fetch all frames of a layer. `frame` is where the tab draws its map. */
window.prepare = async (run, name, frame) => {
  const { runs } = await api.runs();
  let layer = layers.emptyLayer(run, name, runs[run].layers[name]);
  for (let i = 0; i < layer.steps.length; i += STEPS_PER_ANSWER) {
    const to = layer.steps[Math.min(i + STEPS_PER_ANSWER, layer.steps.length) - 1];
    layer = layers.withFrames(layer, await api.layer(run, name, { from: layer.steps[i], to, part: 'frames' }));
  }
  const space = spaceFromContainer(await api.space(run));
  const paint = paintLayer(layer, () => space, { colorBy: 'category', hidden: new Set(), concept: null, selection: null, sizeBySimilarity: false });
  const renderer = createRenderer(canvas);
  renderer.setPalette(createPalette({ theme: signal('light'), reducedMotion: signal(false) }).value);
  canvas.style.cssText = `width: ${frame.width}px; height: ${frame.height}px`;
  const marks = new Uint8Array(layer.neurons);
  window.drawAt = (cursor) => renderer.draw(frame, [{ layer, paint, cursor, source: 0, marks, trails: [], moment: layers.between(layer, cursor) }]);
  window.last = layer.steps.length - 1;
  return layer.loaded;
};

window.scrub = (count) => new Promise((resolve) => {
  const deltas = [];
  const drawMs = [];
  let before = 0;
  let place = 0;
  const advance = (now) => {
    if (before) deltas.push(now - before);
    before = now;
    if (place > count) { resolve({ deltas, drawn: place, drawMs }); return; }
    const started = performance.now();
    window.drawAt((place / count) * window.last);
    drawMs.push(performance.now() - started);
    place++;
    requestAnimationFrame(advance);
  };
  requestAnimationFrame(advance);
});
document.documentElement.dataset.ready = 'true';
