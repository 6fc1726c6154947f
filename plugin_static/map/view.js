// @ts-check
/** One concept map: points, anchors and words over them, pan and zoom, picking. Mounted twice to compare runs. */
import { batch, computed, effect, select, signal, untracked, zoom, zoomIdentity } from '../lib.js';
import { between, pickNeuron, placeOf } from '../model/layer.js';
import { boundingBox, fitTransform, recentre, zoomed } from '../model/geometry.js';
import { KIND } from '../model/paint.js';
import { createRenderer } from './renderer.js';
import { MARK } from './shared.js';
import { GENTLE, STRONG } from './trails.js';
import { renderOverlay } from './overlay.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/geometry.js').Transform} Transform */
/**
 * @typedef {object} MapSource Which run this map shows.
 * @property {() => string} run
 * @property {() => import('../model/layer.js').Layer | null} layer
 * @property {() => import('../model/paint.js').Paint | null} paint
 * @property {() => (epoch: number) => import('../model/space.js').Space | null} spaceAt
 * @property {() => number} cursor fractional index into this run's own steps
 * @property {() => import('../api.js').Metrics | undefined} metrics of the step shown
 * @property {() => readonly number[]} tracked neurons that somebody chose to follow
 * @property {() => readonly number[]} suggested neurons worth a look while nobody chose any
 */

const MARGIN = { left: 40, right: 60, top: 88, bottom: 64 };
const PICK_RADIUS = 11;

/**
 * @param {HTMLElement} host @param {Store} store @param {MapSource} source
 * @param {import('../lib.js').Signal<import('../theme.js').Palette>} palette
 * @param {boolean} isFirst whether this map keeps the shared view in place when the window changes
 */
export function mountMap(host, store, source, palette, isFirst) {
  const canvas = document.createElement('canvas');
  const overlay = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  overlay.setAttribute('class', 'overlay');
  overlay.setAttribute('role', 'img');
  host.replaceChildren(canvas, overlay);
  const renderer = createRenderer(canvas);
  host.dataset.renderer = renderer.kind;

  const size = signal({ width: 0, height: 0 });
  const fit = computed(() => {
    const spaces = [0, (source.layer()?.steps.length ?? 1) - 1].map((epoch) => source.spaceAt()(epoch));
    const places = spaces.flatMap((space) => (space ? [space.position, space.anchorPosition] : []));
    const box = boundingBox(...places) ?? { left: -1, right: 1, bottom: -1, top: 1 };
    const narrow = size.value.width < 520;
    return fitTransform(box, size.value, narrow ? { ...MARGIN, left: 28, right: 40 } : MARGIN);
  });
  const transform = computed(() => zoomed(fit.value, store.view.value));
  const radius = computed(() => {
    const crowd = 5 - 0.55 * Math.log2(Math.max(1, (source.layer()?.neurons ?? 1) / 128));
    const small = Math.min(1, Math.max(0.7, size.value.height / 620));
    return Math.max(1.5, Math.min(5.2, crowd)) * small * Math.min(2, store.view.value.k ** 0.35);
  });

  let pending = 0;
  const paintNow = () => {
    pending = 0;
    const { width, height } = size.peek();
    if (!width || !height) return;
    untracked(() => {
      const layer = source.layer();
      const cursor = source.cursor();
      const moment = layer ? between(layer, cursor) : { before: 0, after: 0, share: 0 };
      const started = performance.now();
      renderer.draw({
        ...moment, cursor, width, height, ratio: Math.min(2, window.devicePixelRatio),
        ...transform.value, radius: radius.value, trails: store.showTrails.value,
      });
      if (layer) host.dataset.layer = layer.name;
      host.dataset.drawMs = (performance.now() - started).toFixed(2);
    });
  };
  const repaint = () => { if (!pending) pending = requestAnimationFrame(paintNow); };

  effect(() => {
    const layer = source.layer();
    const paint = source.paint();
    if (layer) renderer.setLayer(layer);
    if (paint) renderer.setPaint(paint);
    repaint();
  });
  effect(() => { renderer.setPalette(palette.value); repaint(); });
  effect(() => {
    const layer = source.layer();
    const paint = source.paint();
    if (!layer || !paint) return;
    const own = source.run() === store.primary.value;
    const marks = new Uint8Array(layer.neurons);
    const trailing = new Set(source.tracked());
    for (const neuron of trailing) marks[neuron] |= MARK.TRACKED;
    for (const neuron of source.suggested()) marks[neuron] |= MARK.SUGGESTED;
    const chosen = own ? store.selected.value : null;
    const hovered = store.hovered.value?.run === source.run() ? store.hovered.value.neuron : null;
    if (chosen !== null && chosen < layer.neurons) { marks[chosen] |= MARK.SELECTED; trailing.add(chosen); }
    if (hovered !== null && hovered < layer.neurons) { marks[hovered] |= MARK.HOVERED; trailing.add(hovered); }
    renderer.setMarks(marks);
    renderer.setTrails([
      ...source.suggested().filter((neuron) => !trailing.has(neuron)).map((neuron) => ({ neuron, ...GENTLE })),
      ...[...trailing].map((neuron) => ({ neuron, ...STRONG })),
    ]);
    repaint();
  });
  effect(() => { void [source.cursor(), transform.value, radius.value, store.showTrails.value]; repaint(); });

  const now = computed(() => Math.round(source.cursor()));
  effect(() => { renderOverlay(overlay, {
    space: source.spaceAt()(now.value), layer: source.layer(), epoch: now.value, size: size.value, transform: transform.value,
    zoom: store.view.value.k, showLabels: store.showLabels.value, concept: store.concept.value, run: source.run(), nearest: source.metrics()?.anchors,
    keepFree: writtenOver(host),
  }); });
  new ResizeObserver(() => {
    // TensorBoard gives a hidden tab no height: keep what was.
    const now = { width: host.clientWidth, height: host.clientHeight };
    const before = size.peek();
    if (!now.width || !now.height || (now.width === before.width && now.height === before.height)) return;
    const oldFit = fit.peek();
    const { k, x, y } = store.view.peek();
    batch(() => {
      size.value = now;
      const moved = before.width > 0 && (k !== 1 || x !== 0 || y !== 0);
      if (moved && isFirst) store.view.value = recentre({ k, x, y }, oldFit, before, fit.value, now);
    });
  }).observe(host);

  bindZoom(overlay, store);
  const pick = (/** @type {MouseEvent} */ event) => {
    const layer = source.layer();
    const paint = source.paint();
    if (!layer || !paint) return null;
    const { scale, x, y } = transform.peek();
    const bounds = overlay.getBoundingClientRect();
    const mapX = (event.clientX - bounds.left - x) / scale;
    const mapY = (y - (event.clientY - bounds.top)) / scale;
    const drawn = (/** @type {number} */ epoch, /** @type {number} */ neuron) => {
      const kind = paint.kind[epoch * layer.neurons + neuron];
      return kind === KIND.FULL || kind === KIND.FAINT;
    };
    return pickNeuron(layer, source.cursor(), mapX, mapY, PICK_RADIUS / scale, drawn);
  };
  overlay.addEventListener('pointermove', (event) => {
    const neuron = event.buttons ? null : pick(event);
    overlay.classList.toggle('pointing', neuron !== null);
    const before = store.hovered.peek();
    if (before?.neuron === neuron && before?.run === source.run()) return;
    store.hovered.value = neuron === null ? null : { run: source.run(), neuron };
  });
  overlay.addEventListener('pointerleave', () => { store.hovered.value = null; });
  overlay.addEventListener('click', (event) => {
    const neuron = pick(event);
    if (source.run() !== store.primary.peek()) return;
    if (neuron !== null && (event.shiftKey || event.ctrlKey || event.metaKey)) store.toggleTracked(neuron);
    else store.selected.value = neuron === store.selected.peek() ? null : neuron;
  });

  /** Pixel of a neuron in this map. @param {number} neuron @returns {[number, number]} */
  const pixelOf = (neuron) => {
    const layer = source.layer();
    const { scale, x, y } = transform.value;
    if (!layer) return [0, 0];
    const [mapX, mapY] = placeOf(layer, neuron, source.cursor());
    return [x + scale * mapX, y - scale * mapY];
  };
  return { pixelOf, size, fit, host };
}

/** Places of the caption, legend and tools, in px of the map. @param {HTMLElement} host */
function writtenOver(host) {
  const origin = host.getBoundingClientRect();
  return [...(host.closest('#well')?.querySelectorAll('#caption > *, #legend, #tools, #compared-name') ?? [])].map((element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    return { left: left - origin.left - 4, right: right - origin.left + 4, top: top - origin.top - 2, bottom: bottom - origin.top + 2 };
  });
}

/** Pan and zoom through `store.view`, so that maps side by side move together. @param {SVGSVGElement} overlay @param {Store} store */
function bindZoom(overlay, store) {
  const behaviour = zoom().scaleExtent([0.6, 60]).clickDistance(4).on('zoom', (/** @type {any} */ event) => {
    const { k, x, y } = event.transform;
    const before = store.view.peek();
    if (before.k !== k || before.x !== x || before.y !== y) store.view.value = { k, x, y };
  });
  select(/** @type {Element} */ (overlay)).call(/** @type {any} */ (behaviour)).on('dblclick.zoom', null);
  effect(() => {
    const { k, x, y } = store.view.value;
    Object.assign(overlay, { __zoom: zoomIdentity.translate(x, y).scale(k) });
  });
}
