// @ts-check
/** Where many neurons are: lines of equal density, for each colour of the map. */
import { contourDensity } from '../lib.js';
import { epochOf } from './layer.js';
import { KIND, NO_CODE } from './paint.js';

/** @typedef {import('./geometry.js').Transform} Transform */
/** @typedef {import('./geometry.js').Size} Size */
/** @typedef {{layer: import('./layer.js').Layer, paint: import('./paint.js').Paint, moment: import('./layer.js').Moment, source: number}} Painted */
/** @typedef {{scale: 'slot' | 'source' | 'plain', code: number, x: Float32Array, y: Float32Array}} Crowd neurons of one colour, px */
/** @typedef {{scale: Crowd['scale'], code: number, paths: string[]}} Contours of one crowd, from the outermost; SVG paths in px */

const BANDWIDTH_PX = 16;
const CELL_PX = 4;
/** Densities at which lines are drawn, as shares of the largest on the map. */
const LEVELS = [0.07, 0.2, 0.45, 0.75];
/** Fewer are better seen one by one. */
const LEAST_CROWD = 5;

/**
 * Neurons with a concept, by the colour that they have: categories or sources apart, else all together.
 * @param {Painted[]} sheets @param {Transform} transform @returns {Crowd[]}
 */
export function crowdsOf(sheets, { scale, x: left, y: top }) {
  /** @type {Map<string, {scale: Crowd['scale'], code: number, x: number[], y: number[]}>} */
  const crowds = new Map();
  for (const { layer, paint, moment, source } of sheets) {
    const epoch = epochOf(moment);
    const position = layer.frames[epoch]?.position;
    if (!position) continue;
    const { kind, code } = paint.at(epoch);
    const apart = paint.scale === 'slot' || paint.scale === 'source' ? paint.scale : 'plain';
    for (let neuron = 0; neuron < layer.neurons; neuron++) {
      if (kind[neuron] !== KIND.FULL || position[2 * neuron] !== position[2 * neuron]) continue;
      const own = apart === 'slot' && code[neuron] !== NO_CODE ? code[neuron] : apart === 'source' ? source : 0;
      const key = `${apart}/${own}`;
      let crowd = crowds.get(key);
      if (!crowd) crowds.set(key, (crowd = { scale: apart, code: own, x: [], y: [] }));
      crowd.x.push(left + scale * position[2 * neuron]);
      crowd.y.push(top - scale * position[2 * neuron + 1]);
    }
  }
  return [...crowds.values()].filter(({ x }) => x.length >= LEAST_CROWD).map((crowd) => ({ ...crowd, x: Float32Array.from(crowd.x), y: Float32Array.from(crowd.y) }));
}

/** A crowd's density, of which lines can be drawn at any height. @param {Crowd} crowd @param {Size} size */
export function densityOf({ x, y }, { width, height }) {
  const estimate = contourDensity().x((/** @type {any} */ i) => x[i]).y((/** @type {any} */ i) => y[i]).size([Math.max(1, width), Math.max(1, height)]).bandwidth(BANDWIDTH_PX).cellSize(CELL_PX);
  return /** @type {{max: number} & ((level: number) => {coordinates: number[][][][]})} */ (/** @type {any} */ (estimate).contours(Array.from(x.keys())));
}

/** The lines of one crowd. @param {Crowd} crowd @param {ReturnType<typeof densityOf>} density @param {number} highest of all crowds @returns {Contours} */
export function contoursOf({ scale, code }, density, highest) {
  const paths = LEVELS.flatMap((level) => {
    if (level * highest >= density.max) return [];
    const path = density(level * highest).coordinates.flat().map(ringPath).join('');
    return path ? [path] : [];
  });
  return { scale, code, paths };
}

/** All lines at once. @param {Painted[]} sheets @param {Transform} transform @param {Size} size @returns {Contours[]} */
export function allContours(sheets, transform, size) {
  const crowds = crowdsOf(sheets, transform);
  const densities = crowds.map((crowd) => densityOf(crowd, size));
  const highest = Math.max(0, ...densities.map(({ max }) => max));
  return crowds.map((crowd, i) => contoursOf(crowd, densities[i], highest));
}

/** @param {number[][]} ring */
const ringPath = (ring) => (ring.length > 2 ? `M${ring.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join('L')}Z` : '');
