// @ts-check
/** One concept map: points, anchors and words over them, pan and zoom, picking. Mounted several times to compare. */
import { batch, computed, effect, signal, untracked } from '../lib.js';
import { pickNeuron, placeOf } from '../model/layer.js';
import { boundingBox, fitTransform, recentre, zoomed } from '../model/geometry.js';
import { KIND } from '../model/paint.js';
import { countConcepts } from '../model/select.js';
import { readable } from '../model/text.js';
import { calm } from './calm.js';
import { mountContours } from './contours.js';
import { mountEvolution } from './evolution.js';
import { bindKeys } from './keys.js';
import { layOut, renderOverlay } from './overlay.js';
import { bindPointer, bindZoom } from './pointer.js';
import { createRenderer } from './renderer.js';
import { MANY } from './shared.js';
import { createSheets, pointRadius } from './sheets.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/geometry.js').Transform} Transform */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../source.js').NeuronRef} NeuronRef */
/** @typedef {ReturnType<typeof mountMap>} MapView */

const MARGIN = { left: 40, right: 60, top: 88, bottom: 64 };
/** In a narrow window the legend has more rows. */
const NARROW_MARGIN = { left: 28, right: 46, top: 88, bottom: 104 };
const NARROW = 640;
const BELOW_CAPTION = 14;
const PICK_RADIUS = 11;

/** Where the whole space of a source is seen. @param {Source | null} source @param {import('../model/geometry.js').Size} size @param {number} [top] px that the caption takes */
export function fitOf(source, size, top = 0) {
  const spaces = [0, (source?.steps.value.length ?? 1) - 1].map((epoch) => source?.spaceAt.value(epoch) ?? null);
  const places = spaces.flatMap((space) => (space ? [space.position, space.anchorPosition] : []));
  const box = boundingBox(...places) ?? { left: -1, right: 1, bottom: -1, top: 1 };
  const margin = size.width < NARROW ? NARROW_MARGIN : MARGIN;
  return fitTransform(box, size, { ...margin, top: Math.max(margin.top, Math.min(top + BELOW_CAPTION, size.height / 3)) });
}

/**
 * @param {HTMLElement} host @param {Store} store @param {import('../lib.js').Signal<import('../theme.js').Palette>} palette
 * @param {() => Source[]} sources what lies on this map; the first one's words and anchors are written on it
 * @param {boolean} isFirst whether this map keeps the shared view in place when the window changes
 */
export function mountMap(host, store, palette, sources, isFirst) {
  const canvas = document.createElement('canvas');
  const overlay = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  overlay.setAttribute('class', 'overlay');
  host.replaceChildren(canvas, overlay);
  const renderer = createRenderer(canvas);
  const lead = computed(() => sources()[0] ?? null);
  const neurons = computed(() => sources().reduce((total, { layer }) => total + (layer.value?.neurons ?? 0), 0));

  const size = signal({ width: 0, height: 0 });
  /** Notices make the caption higher; it never gives the room back, so that nothing jumps while time runs. */
  const captionHeight = signal(0);
  const fit = computed(() => fitOf(lead.value, size.value, captionHeight.value));
  const transform = computed(() => zoomed(fit.value, store.view.value));
  const radius = computed(() => pointRadius(neurons.value, size.value.height, store.view.value.k));
  const sheets = createSheets(store, sources);

  /** What is written depends on how many neurons detect each word now. */
  const detected = calm(
    () => {
      void [store.index.value, lead.value?.space.value, lead.value?.metricsNow.value, ...sources().map(({ layer, epoch }) => [layer.value, epoch.value])];
      return neurons.value > MANY;
    },
    () => {
      const space = lead.value?.space.value ?? null;
      const alike = sources().filter((source) => space && source.space.value?.fingerprint === space.fingerprint);
      const layers = alike.flatMap(({ layer, epoch }) => (layer.value ? [{ layer: layer.value, epoch: epoch.value }] : []));
      return { space, counts: countConcepts(layers, space?.words.length ?? 0), nearest: lead.value?.metricsNow.value?.anchors };
    },
  );
  const written = signal(/** @type {import('../model/geometry.js').Rect[]} */ ([]));
  keepWritten(host, written, captionHeight);
  const writing = computed(() => layOut({
    ...detected.value, size: size.value, transform: transform.value, zoom: store.view.value.k, showLabels: store.showLabels.value,
    concept: store.pointedConcept.value ?? store.concept.value, anchors: store.anchors.value, keepFree: written.value,
  }));

  let pending = 0;
  let shown = /** @type {import('./overlay.js').Writing | null} */ (null);
  const paintNow = () => {
    pending = 0;
    const { width, height } = size.peek();
    if (!width || !height) return;
    untracked(() => {
      const started = performance.now();
      const drawn = sheets.value;
      renderer.draw({ width, height, ratio: Math.min(2, window.devicePixelRatio), ...transform.value, radius: radius.value, terrain: detected.value.space }, drawn);
      const took = performance.now() - started;
      if (writing.value !== shown) renderOverlay(overlay, (shown = writing.value));
      if (!drawn.length || drawn[0].moment.before < 0) return;
      host.dataset.renderer = renderer.kind;
      host.dataset.layer = drawn[0].layer.name;
      host.dataset.drawMs = took.toFixed(2);
      document.documentElement.dataset.ready = 'true';
    });
  };
  const repaint = () => { if (!pending) pending = requestAnimationFrame(paintNow); };
  effect(() => { renderer.setPalette(palette.value); repaint(); });
  effect(() => { void [sheets.value, transform.value, radius.value, detected.value, written.value, store.showLabels.value, store.concept.value, store.pointedConcept.value, store.anchors.value]; repaint(); });
  effect(() => { overlay.setAttribute('aria-label', `Concept map of ${readable(lead.value?.run ?? '')}: anchors ${store.anchors.value.map(({ word }) => readable(word)).join(', ') || 'none'}. Alt and an arrow key lead from neuron to neuron, Enter opens its card.`); });

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

  /** Whether a neuron is drawn and not filtered out. @param {import('./shared.js').Sheet} sheet */
  const isDrawn = ({ paint }) => (/** @type {number} */ epoch, /** @type {number} */ neuron) => {
    const kind = paint.at(epoch).kind[neuron];
    return kind === KIND.FULL || kind === KIND.FAINT;
  };
  /** The neuron at a place, of the topmost source that has one there. @param {number} px @param {number} py CSS px of this map @returns {NeuronRef | null} */
  const pick = (px, py) => {
    const { scale, x, y } = transform.peek();
    for (const sheet of [...sheets.peek()].reverse()) {
      const neuron = pickNeuron(sheet.layer, sheet.cursor, (px - x) / scale, (y - py) / scale, PICK_RADIUS / scale, isDrawn(sheet));
      if (neuron !== null) return { run: sheet.layer.run, layer: sheet.layer.name, neuron };
    }
    return null;
  };
  /** Pixel of a neuron in this map. @param {NeuronRef} ref @returns {[number, number] | null} null when it is not on this map */
  const pixelOf = (ref) => {
    const sheet = sheets.value.find(({ layer }) => layer.run === ref.run && layer.name === ref.layer);
    if (!sheet) return null;
    const { scale, x, y } = transform.value;
    const [mapX, mapY] = placeOf(sheet.layer, ref.neuron, sheet.cursor);
    return [x + scale * mapX, y - scale * mapY];
  };
  const map = { host, overlay, pixelOf, pick, isDrawn, sheets, size, fit, transform, captionHeight, sources };
  mountContours(host, store, map);
  mountEvolution(host, store, map);
  bindZoom(overlay, store);
  bindPointer(map, store);
  bindKeys(map, store);
  return map;
}

/** Keep the places of caption, legend and tools, in px of the map: nothing else is written there. @param {HTMLElement} host @param {import('../lib.js').Signal<import('../model/geometry.js').Rect[]>} written @param {import('../lib.js').Signal<number>} captionHeight of a map that has the well for itself */
function keepWritten(host, written, captionHeight) {
  let pending = 0;
  const measure = () => {
    pending = 0;
    const origin = host.getBoundingClientRect();
    if (!origin.width) return;
    const well = host.closest('#well');
    const caption = well?.querySelector('#caption');
    if (well && caption && host.offsetHeight > well.clientHeight - 4 && host.offsetWidth > well.clientWidth - 4) captionHeight.value = Math.max(captionHeight.peek(), caption.getBoundingClientRect().bottom - origin.top);
    const rects = [...(host.closest('#well')?.querySelectorAll('#caption > *, #legend, #tools, #threshold, .map-name') ?? [])].flatMap((element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return right > left && bottom > top ? [{ left: left - origin.left - 4, right: right - origin.left + 4, top: top - origin.top - 2, bottom: bottom - origin.top + 2 }] : [];
    });
    if (JSON.stringify(rects) !== JSON.stringify(written.peek())) written.value = rects;
  };
  // Not at once and not at every change: measuring makes the browser lay out the page.
  const observer = new ResizeObserver(() => { if (!pending) pending = setTimeout(measure, 60); });
  queueMicrotask(() => { for (const element of [host, ...(host.closest('#well')?.querySelectorAll('#caption, #legend, #tools, #threshold, .map-name') ?? [])]) observer.observe(element); });
}
