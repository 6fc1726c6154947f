// @ts-check
/** The pointer on a map: pan and zoom, pointing at a neuron, clicking it, drawing around many. */
import { batch, effect, select, zoom, zoomIdentity } from '../lib.js';
import { fillPolygon, neuronsInside, rectangleOf } from '../model/select.js';
import { keyOf } from '../source.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').NeuronRef} NeuronRef */
/** @typedef {[number, number]} Point CSS px of the map */
/**
 * @typedef {object} Pointed what the pointer needs of a map
 * @property {HTMLElement} host
 * @property {SVGSVGElement} overlay
 * @property {(x: number, y: number) => NeuronRef | null} pick
 * @property {(sheet: import('./shared.js').Sheet) => (epoch: number, neuron: number) => boolean} isDrawn
 * @property {import('../lib.js').Signal<import('./shared.js').Sheet[]>} sheets
 * @property {import('../lib.js').Signal<import('../model/geometry.js').Size>} size
 * @property {import('../lib.js').Signal<import('../model/geometry.js').Transform>} transform
 */

/** A shorter drag is a click. */
const LEAST_DRAG = 5;
/** Corners of a lasso lie at least this far apart. */
const CORNER_PX = 3;

/** @param {NeuronRef | null} a @param {NeuronRef | null} b */
export const sameNeuron = (a, b) => a === b || (a !== null && b !== null && a.neuron === b.neuron && a.run === b.run && a.layer === b.layer);

/** @param {Pointed} map @param {Store} store */
export function bindPointer(map, store) {
  const { overlay } = map;
  const placeOf = (/** @type {MouseEvent} */ event) => {
    const bounds = overlay.getBoundingClientRect();
    return /** @type {Point} */ ([event.clientX - bounds.left, event.clientY - bounds.top]);
  };
  const wasDrawn = bindDrawing(map, store, placeOf);
  overlay.addEventListener('pointermove', (event) => {
    const found = event.buttons ? null : map.pick(...placeOf(event));
    overlay.classList.toggle('pointing', found !== null);
    if (!sameNeuron(found, store.hovered.peek())) store.hovered.value = found;
  });
  overlay.addEventListener('pointerleave', () => { store.hovered.value = null; });
  overlay.addEventListener('click', (event) => {
    if (wasDrawn()) return;
    const found = map.pick(...placeOf(event));
    if (found && (event.shiftKey || event.ctrlKey || event.metaKey)) store.toggleTracked(found);
    else store.focus.value = sameNeuron(found, store.focus.peek()) ? null : found;
  });
  effect(() => { overlay.dataset.tool = store.tool.value; });
}

/**
 * Drawing a lasso or a rectangle: what lies inside is selected.
 * @param {Pointed} map @param {Store} store @param {(event: MouseEvent) => Point} placeOf
 * @returns {() => boolean} whether the click that is being handled ended a drawing
 */
function bindDrawing(map, store, placeOf) {
  const { overlay, host } = map;
  const sheet = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  sheet.setAttribute('class', 'drawing');
  sheet.setAttribute('aria-hidden', 'true');
  const outline = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  sheet.append(outline);
  host.append(sheet);
  let corners = /** @type {Point[] | null} */ (null);
  let drawn = false;

  const show = () => outline.setAttribute('d', corners && corners.length > 1 ? `M${shape().map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join('L')}Z` : '');
  const shape = () => {
    if (!corners) return [];
    return store.tool.peek() === 'rectangle' ? rectangleOf(corners[0], corners[corners.length - 1]) : corners;
  };
  const stop = () => { corners = null; show(); document.removeEventListener('keydown', cancel, true); };
  const cancel = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    drawn = true;
    stop();
  };
  overlay.addEventListener('pointerdown', (event) => {
    drawn = false;
    if (event.button !== 0 || store.tool.peek() === 'move') return;
    corners = [placeOf(event)];
    overlay.setPointerCapture(event.pointerId);
    document.addEventListener('keydown', cancel, true);
  });
  overlay.addEventListener('pointermove', (event) => {
    if (!corners) return;
    const at = placeOf(event);
    const [x, y] = corners[corners.length - 1];
    if (Math.hypot(at[0] - x, at[1] - y) >= CORNER_PX) corners.push(at);
    show();
  });
  overlay.addEventListener('pointercancel', stop);
  overlay.addEventListener('pointerup', (event) => {
    if (!corners) return;
    const xs = corners.map(([x]) => x);
    const ys = corners.map(([, y]) => y);
    const extent = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
    drawn = extent >= LEAST_DRAG;
    if (drawn) selectInside(map, store, shape(), event.shiftKey ? 'add' : event.altKey ? 'remove' : 'replace');
    stop();
  });
  return () => drawn;
}

/** Select what lies inside a shape, in every source on the map. @param {Pointed} map @param {Store} store @param {Point[]} shape @param {'replace' | 'add' | 'remove'} how */
function selectInside(map, store, shape, how) {
  const mask = fillPolygon(shape, map.size.peek());
  batch(() => {
    if (how === 'replace') store.clearSelection();
    for (const sheet of map.sheets.peek()) {
      // What an earlier selection has dimmed can still be added.
      const isThere = (/** @type {number} */ epoch, /** @type {number} */ neuron) => sheet.paint.at(epoch).kind[neuron] !== 0;
      const inside = neuronsInside(sheet.layer, sheet.cursor, map.transform.peek(), mask, store.selection.peek().size || how !== 'replace' ? isThere : map.isDrawn(sheet));
      if (inside.length) store.select(keyOf({ run: sheet.layer.run, layer: sheet.layer.name }), inside, how === 'remove' ? 'remove' : 'add');
    }
  });
}

/** Pan and zoom through `store.view`, so that maps side by side move together. @param {SVGSVGElement} overlay @param {Store} store */
export function bindZoom(overlay, store) {
  const behaviour = zoom().scaleExtent([0.6, 60]).clickDistance(4)
    // While drawing is chosen, dragging draws; the middle button still pans and the wheel zooms.
    .filter((/** @type {any} */ event) => event.type === 'wheel' || event.button === 1 || (!event.ctrlKey && !event.button && store.tool.peek() === 'move'))
    .on('zoom', (/** @type {any} */ event) => {
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
