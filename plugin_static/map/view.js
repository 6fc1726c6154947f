// @ts-check
/** One concept map: points, anchors and words over them, pan and zoom, picking. Mounted twice to compare runs. */
import { batch, computed, effect, select, signal, untracked, zoom, zoomIdentity } from '../lib.js';
import { between, pickNeuron, placeOf } from '../model/layer.js';
import { keyOf } from '../source.js';
import { boundingBox, fitTransform, recentre, zoomed } from '../model/geometry.js';
import { KIND } from '../model/paint.js';
import { createRenderer } from './renderer.js';
import { MARK } from './shared.js';
import { GENTLE, STRONG } from './trails.js';
import { renderOverlay } from './overlay.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/geometry.js').Transform} Transform */
/** @typedef {import('../source.js').Source} Source */

const MARGIN = { left: 40, right: 60, top: 88, bottom: 64 };
const PICK_RADIUS = 11;

/**
 * @param {HTMLElement} host @param {Store} store @param {import('../lib.js').Signal<import('../theme.js').Palette>} palette
 * @param {() => Source[]} sources what lies on this map; the first one's words and anchors are written on it
 * @param {boolean} isFirst whether this map keeps the shared view in place when the window changes
 */
export function mountMap(host, store, palette, sources, isFirst) {
  const canvas = document.createElement('canvas');
  const overlay = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  overlay.setAttribute('class', 'overlay');
  overlay.setAttribute('role', 'img');
  host.replaceChildren(canvas, overlay);
  const renderer = createRenderer(canvas);
  host.dataset.renderer = renderer.kind;
  const lead = computed(() => sources()[0] ?? null);

  const size = signal({ width: 0, height: 0 });
  const fit = computed(() => {
    const spaces = [0, (lead.value?.steps.value.length ?? 1) - 1].map((epoch) => lead.value?.spaceAt.value(epoch) ?? null);
    const places = spaces.flatMap((space) => (space ? [space.position, space.anchorPosition] : []));
    const box = boundingBox(...places) ?? { left: -1, right: 1, bottom: -1, top: 1 };
    const narrow = size.value.width < 520;
    return fitTransform(box, size.value, narrow ? { ...MARGIN, left: 28, right: 40 } : MARGIN);
  });
  const transform = computed(() => zoomed(fit.value, store.view.value));
  const radius = computed(() => {
    const crowd = 5 - 0.55 * Math.log2(Math.max(1, sources().reduce((total, { layer }) => total + (layer.value?.neurons ?? 0), 0) / 128));
    const small = Math.min(1, Math.max(0.7, size.value.height / 620));
    return Math.max(1.5, Math.min(5.2, crowd)) * small * Math.min(2, store.view.value.k ** 0.35);
  });

  let pending = 0;
  const paintNow = () => {
    pending = 0;
    const { width, height } = size.peek();
    if (!width || !height) return;
    untracked(() => {
      const started = performance.now();
      const drawn = sheets.value.map((sheet) => ({ ...sheet, moment: between(sheet.layer, sheet.cursor) }));
      renderer.draw({ width, height, ratio: Math.min(2, window.devicePixelRatio), ...transform.value, radius: radius.value }, drawn);
      if (!drawn.length || drawn[0].moment.before < 0) return;
      host.dataset.layer = drawn[0].layer.name;
      host.dataset.drawMs = (performance.now() - started).toFixed(2);
      document.documentElement.dataset.ready = 'true';
    });
  };
  const repaint = () => { if (!pending) pending = requestAnimationFrame(paintNow); };

  const sheets = computed(() => sources().flatMap((source) => {
    const layer = source.layer.value;
    const paint = source.paint.value;
    if (!layer || !paint) return [];
    return [{ layer, paint, cursor: source.cursor.value, source: store.sources.value.indexOf(source), ...marksOf(source, layer) }];
  }));
  /** @param {Source} source @param {import('../model/layer.js').Layer} layer */
  const marksOf = (source, layer) => {
    const marks = new Uint8Array(layer.neurons);
    const tracked = source.trackedBy.value === 'suggestion' ? [] : source.tracked.value;
    const trailing = new Set(tracked);
    for (const neuron of trailing) marks[neuron] |= MARK.TRACKED;
    const suggested = source.suggestedOnMap.value;
    for (const neuron of suggested) marks[neuron] |= MARK.SUGGESTED;
    const isHere = (/** @type {import('../source.js').NeuronRef | null} */ ref) => ref !== null && keyOf(ref) === source.key && ref.neuron < layer.neurons;
    const { focus, hovered } = store;
    if (focus.value && isHere(focus.value)) { marks[focus.value.neuron] |= MARK.SELECTED; trailing.add(focus.value.neuron); }
    if (hovered.value && isHere(hovered.value)) { marks[hovered.value.neuron] |= MARK.HOVERED; trailing.add(hovered.value.neuron); }
    const trails = !store.showTrails.value ? [] : [
      ...suggested.filter((neuron) => !trailing.has(neuron)).map((neuron) => ({ neuron, ...GENTLE })),
      ...[...trailing].map((neuron) => ({ neuron, ...STRONG })),
    ];
    return { marks, trails };
  };
  effect(() => { renderer.setPalette(palette.value); repaint(); });
  effect(() => { void [sheets.value, transform.value, radius.value]; repaint(); });

  effect(() => { renderOverlay(overlay, {
    space: lead.value?.space.value ?? null, layer: lead.value?.layer.value ?? null, epoch: lead.value?.epoch.value ?? 0, size: size.value, transform: transform.value,
    zoom: store.view.value.k, showLabels: store.showLabels.value, concept: store.concept.value, run: lead.value?.run ?? '', anchors: store.anchors.value,
    nearest: lead.value?.metricsNow.value?.anchors, keepFree: writtenOver(host),
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
  /** The neuron under the pointer, of the topmost source that has one there. @param {MouseEvent} event @returns {import('../source.js').NeuronRef | null} */
  const pick = (event) => {
    const { scale, x, y } = transform.peek();
    const bounds = overlay.getBoundingClientRect();
    const mapX = (event.clientX - bounds.left - x) / scale;
    const mapY = (y - (event.clientY - bounds.top)) / scale;
    for (const { layer, paint, cursor } of [...sheets.peek()].reverse()) {
      const drawn = (/** @type {number} */ epoch, /** @type {number} */ neuron) => {
        const kind = paint.at(epoch).kind[neuron];
        return kind === KIND.FULL || kind === KIND.FAINT;
      };
      const neuron = pickNeuron(layer, cursor, mapX, mapY, PICK_RADIUS / scale, drawn);
      if (neuron !== null) return { run: layer.run, layer: layer.name, neuron };
    }
    return null;
  };
  overlay.addEventListener('pointermove', (event) => {
    const found = event.buttons ? null : pick(event);
    overlay.classList.toggle('pointing', found !== null);
    if (!sameNeuron(found, store.hovered.peek())) store.hovered.value = found;
  });
  overlay.addEventListener('pointerleave', () => { store.hovered.value = null; });
  overlay.addEventListener('click', (event) => {
    const found = pick(event);
    if (found && (event.shiftKey || event.ctrlKey || event.metaKey)) store.toggleTracked(found);
    else store.focus.value = sameNeuron(found, store.focus.peek()) ? null : found;
  });

  /** Pixel of a neuron in this map. @param {import('../source.js').NeuronRef} ref @returns {[number, number] | null} null when it is not on this map */
  const pixelOf = (ref) => {
    const sheet = sheets.value.find(({ layer }) => layer.run === ref.run && layer.name === ref.layer);
    if (!sheet) return null;
    const { scale, x, y } = transform.value;
    const [mapX, mapY] = placeOf(sheet.layer, ref.neuron, sheet.cursor);
    return [x + scale * mapX, y - scale * mapY];
  };
  return { pixelOf, size, fit, host };
}

/** @param {import('../source.js').NeuronRef | null} a @param {import('../source.js').NeuronRef | null} b */
const sameNeuron = (a, b) => a === b || (a !== null && b !== null && a.neuron === b.neuron && a.run === b.run && a.layer === b.layer);

/** Places of the caption, legend and tools, in px of the map. @param {HTMLElement} host */
function writtenOver(host) {
  const origin = host.getBoundingClientRect();
  return [...(host.closest('#well')?.querySelectorAll('#caption > *, #legend, #tools, #threshold, .map-name') ?? [])].map((element) => {
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
