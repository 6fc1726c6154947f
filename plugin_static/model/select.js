// @ts-check
/** Which of many places lie in a drawn shape, next to a place, or matter most: fast for a hundred thousand. */
import { between, epochOf, INTERPRETABLE, VALID } from './layer.js';

/** @typedef {import('./geometry.js').Transform} Transform */
/** @typedef {import('./geometry.js').Size} Size */
/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {[number, number]} Point px */
/** @typedef {{left: number, top: number, width: number, height: number, inside: Uint8Array}} Mask px; inside: one byte per pixel */

/**
 * Fill a polygon by the even-odd rule, pixel by pixel: then a place costs one look-up, however many corners there are.
 * @param {Point[]} corners px, the last is joined to the first @param {Size} size of the map
 * @returns {Mask} empty where the polygon encloses nothing
 */
export function fillPolygon(corners, size) {
  const left = Math.max(0, Math.floor(Math.min(...corners.map(([x]) => x))));
  const top = Math.max(0, Math.floor(Math.min(...corners.map(([, y]) => y))));
  const right = Math.min(Math.ceil(size.width), Math.ceil(Math.max(...corners.map(([x]) => x))) + 1);
  const bottom = Math.min(Math.ceil(size.height), Math.ceil(Math.max(...corners.map(([, y]) => y))) + 1);
  if (corners.length < 3 || !(right > left && bottom > top)) return { left: 0, top: 0, width: 0, height: 0, inside: new Uint8Array(0) };
  const width = right - left;
  const height = bottom - top;
  const inside = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const y = top + row + 0.5;
    const crossings = [];
    for (let i = 0; i < corners.length; i++) {
      const [x0, y0] = corners[i];
      const [x1, y1] = corners[(i + 1) % corners.length];
      if ((y0 <= y) !== (y1 <= y)) crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.round(crossings[i] - left));
      const to = Math.min(width, Math.round(crossings[i + 1] - left));
      if (to > from) inside.fill(1, row * width + from, row * width + to);
    }
  }
  return { left, top, width, height, inside };
}

/** Corners of the rectangle between two points. @param {Point} a @param {Point} b @returns {Point[]} */
export const rectangleOf = ([x0, y0], [x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

/**
 * Neurons whose marks lie in a filled shape.
 * @param {Layer} layer @param {number} cursor fractional index @param {Transform} transform @param {Mask} mask
 * @param {(epoch: number, neuron: number) => boolean} isDrawn @returns {number[]} ascending
 */
export function neuronsInside(layer, cursor, transform, mask, isDrawn) {
  const moment = between(layer, cursor);
  const epoch = epochOf(moment);
  const before = layer.frames[moment.before]?.position;
  const after = layer.frames[moment.after]?.position;
  /** @type {number[]} */
  const found = [];
  if (!before || !after) return found;
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const i = 2 * neuron;
    const from = before[i] === before[i] ? before : after;
    const share = from === before && after[i] === after[i] ? moment.share : 0;
    const column = Math.floor(transform.x + transform.scale * (from[i] + (share ? (after[i] - from[i]) * share : 0)) - mask.left);
    const row = Math.floor(transform.y - transform.scale * (from[i + 1] + (share ? (after[i + 1] - from[i + 1]) * share : 0)) - mask.top);
    if (!(column >= 0 && row >= 0 && column < mask.width && row < mask.height)) continue;
    if (mask.inside[row * mask.width + column] && isDrawn(epoch, neuron)) found.push(neuron);
  }
  return found;
}

/**
 * The drawn neuron nearest to a point on one side of it, for moving from neuron to neuron by keys. What lies askew
 * counts as farther away, so that going there and back returns.
 * @param {Layer} layer @param {number} cursor @param {[number, number]} from map units @param {[number, number]} direction of length 1, map units
 * @param {(epoch: number, neuron: number) => boolean} isDrawn @param {number} [except] the neuron one comes from
 * @returns {{neuron: number, cost: number} | null}
 */
export function neuronTowards(layer, cursor, [fromX, fromY], [dirX, dirY], isDrawn, except = -1) {
  const moment = between(layer, cursor);
  const epoch = epochOf(moment);
  const before = layer.frames[moment.before]?.position;
  const after = layer.frames[moment.after]?.position;
  if (!before || !after) return null;
  /** @type {{neuron: number, cost: number} | null} */
  let best = null;
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const i = 2 * neuron;
    const from = before[i] === before[i] ? before : after;
    const share = from === before && after[i] === after[i] ? moment.share : 0;
    const x = from[i] + (share ? (after[i] - from[i]) * share : 0) - fromX;
    const y = from[i + 1] + (share ? (after[i + 1] - from[i + 1]) * share : 0) - fromY;
    const along = x * dirX + y * dirY;
    const aside = Math.abs(x * dirY - y * dirX);
    // With no direction at all, simply the nearest.
    const cost = dirX === 0 && dirY === 0 ? Math.hypot(x, y) : along > 0 && aside <= along * 1.2 ? along + 2 * aside : NaN;
    if (cost < (best?.cost ?? Infinity) && neuron !== except && isDrawn(epoch, neuron)) best = { neuron, cost };
  }
  return best;
}

/**
 * How many neurons detect each concept at a step, of several layers with the same concepts.
 * @param {{layer: Layer, epoch: number}[]} layers @param {number} concepts @returns {Uint32Array} (concepts)
 */
export function countConcepts(layers, concepts) {
  const counts = new Uint32Array(concepts);
  for (const { layer, epoch } of layers) {
    const frame = layer.frames[epoch];
    if (!frame) continue;
    const { concept, flags, similarity } = frame;
    for (let neuron = 0; neuron < layer.neurons; neuron++) {
      const named = layer.cut === null ? (flags[neuron] & INTERPRETABLE) !== 0 : (flags[neuron] & VALID) !== 0 && similarity[neuron] > layer.cut;
      if (named && concept[neuron] >= 0 && concept[neuron] < concepts) counts[concept[neuron]]++;
    }
  }
  return counts;
}

/**
 * The words in view that most neurons detect, without sorting all of them.
 * @param {ArrayLike<number>} position flat (n, 2) @param {Uint32Array} counts (n), or shorter: the rest counts as 0
 * @param {Transform} transform @param {Size} size @param {number} most
 * @returns {number[]} most detected first, then as listed
 */
export function mostCounted(position, counts, { scale, x: left, y: top }, { width, height }, most) {
  const words = position.length / 2;
  // Count and place in one number: larger means more neurons, then earlier in the list.
  const ranks = new Float64Array(words);
  let found = 0;
  for (let i = 0; i < words; i++) {
    const x = left + scale * position[2 * i];
    const y = top - scale * position[2 * i + 1];
    if (x > 0 && y > 0 && x < width && y < height) ranks[found++] = (counts[i] ?? 0) * words + (words - 1 - i);
  }
  const sorted = ranks.subarray(0, found).sort();
  /** @type {number[]} */
  const chosen = [];
  for (let rank = found - 1; rank >= 0 && chosen.length < most; rank--) chosen.push(words - 1 - (sorted[rank] % words));
  return chosen;
}
