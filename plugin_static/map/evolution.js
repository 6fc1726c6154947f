// @ts-check
/** On the map, how far the neuron of a ranked evolution went: a ring where it was before, an arrow to where it was after. */
import { effect, nothing, render, svg } from '../lib.js';
import { placeAt } from '../model/layer.js';

/** Shorter ways than this have no room for an arrow, px. */
const SHORTEST = 28;
const RING = 7;
const HEAD = 7;
const GAP = 11;

/**
 * @param {HTMLElement} host @param {import('../store.js').Store} store
 * @param {{sheets: import('../lib.js').Signal<import('./shared.js').Sheet[]>, transform: import('../lib.js').Signal<import('../model/geometry.js').Transform>}} map
 */
export function mountEvolution(host, store, { sheets, transform }) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  element.setAttribute('class', 'evolution-way');
  element.setAttribute('aria-hidden', 'true');
  host.insertBefore(element, host.querySelector('.overlay'));
  effect(() => {
    const shown = store.markedEvolution.value;
    const way = shown ? wayOf(shown, store.pointedEvolution.value, sheets.value) ?? wayOf(shown, store.focus.value, sheets.value) : null;
    if (!way) { render(nothing, /** @type {any} */ (element)); return; }
    const { scale, x, y } = transform.value;
    const [x0, y0, x1, y1] = [x + scale * way[0], y - scale * way[1], x + scale * way[2], y - scale * way[3]];
    render(arrow(x0, y0, x1, y1), /** @type {any} */ (element));
  });
}

/** Places at both steps, in map units; null where they are not known or lie on different maps. @param {{run: string, from: number, to: number}} shown @param {import('../source.js').NeuronRef | null} ref @param {import('./shared.js').Sheet[]} sheets @returns {[number, number, number, number] | null} */
function wayOf({ run, from, to }, ref, sheets) {
  const layer = ref && ref.run === run ? sheets.find((sheet) => sheet.layer.run === ref.run && sheet.layer.name === ref.layer)?.layer : null;
  if (!ref || !layer) return null;
  const [before, after] = [layer.steps.indexOf(from), layer.steps.indexOf(to)];
  if (before < 0 || after < 0 || !layer.frames[before] || !layer.frames[after] || layer.spaces[before] !== layer.spaces[after]) return null;
  const places = [before, after].flatMap((at) => [...placeAt(layer, ref.neuron, { before: at, after: at, share: 0 })]);
  return places.every(Number.isFinite) ? /** @type {[number, number, number, number]} */ (places) : null;
}

/** @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 px */
function arrow(x0, y0, x1, y1) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  const [dx, dy] = length ? [(x1 - x0) / length, (y1 - y0) / length] : [0, 0];
  const ring = svg`<circle cx=${x0.toFixed(1)} cy=${y0.toFixed(1)} r=${RING}/>`;
  if (length < SHORTEST) return ring;
  // It ends beside the mark of the neuron, not on it.
  const [endX, endY] = [x1 - GAP * dx, y1 - GAP * dy];
  const corner = (/** @type {1 | -1} */ side) => `${(endX - HEAD * dx - side * HEAD * 0.6 * dy).toFixed(1)},${(endY - HEAD * dy + side * HEAD * 0.6 * dx).toFixed(1)}`;
  const path = `M${(x0 + RING * dx).toFixed(1)},${(y0 + RING * dy).toFixed(1)}L${endX.toFixed(1)},${endY.toFixed(1)}M${corner(1)}L${endX.toFixed(1)},${endY.toFixed(1)}L${corner(-1)}`;
  return svg`${ring}<path class="rim" d=${path}/><path d=${path}/>`;
}
