// @ts-check
/** What is written on the map: anchors as green stars with names, and the concept words when zoomed in. */
import { nothing, render, svg } from '../lib.js';
import { placeLabels, starPath } from '../model/geometry.js';
import { formatNumber } from '../model/format.js';
import { labelOf } from '../model/layer.js';

/**
 * @typedef {object} OverlayState
 * @property {import('../model/space.js').Space | null} space
 * @property {import('../model/layer.js').Layer | null} layer
 * @property {number} epoch
 * @property {{width: number, height: number}} size
 * @property {import('../model/geometry.js').Transform} transform
 * @property {number} zoom
 * @property {boolean} showLabels
 * @property {string | null} concept the word that is brought out
 * @property {string} run
 * @property {{word: string, x: number, y: number}[]} anchors as the reader has them, map units
 * @property {import('../api.js').Metrics['anchors']} nearest of each logged anchor at this step
 * @property {import('../model/geometry.js').Rect[]} keepFree places where other things are written
 */

const STAR = starPath(8.5);
/** Fully zoomed out the words are few and far between, to tell regions apart; close up all that find room. */
const DENSE_FROM_ZOOM = 1.5;
const SPARSE_PAD = 26;
const MAX_WORDS = 90;
const ANCHOR_FONT = '600 12.5px "Inter Variable", system-ui, sans-serif';
const WORD_FONT = '500 11px "Inter Variable", system-ui, sans-serif';

const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'));
/** @type {Map<string, number>} */
const widths = new Map();
/** @param {string} text @param {string} font */
function widthOf(text, font) {
  const key = font + text;
  let width = widths.get(key);
  if (width === undefined) {
    ruler.font = font;
    width = ruler.measureText(text).width;
    widths.set(key, width);
  }
  return width;
}

/** @param {SVGSVGElement} element @param {OverlayState} state */
export function renderOverlay(element, state) {
  const { space, size, transform, showLabels } = state;
  if (!space || !size.width) return render(nothing, /** @type {any} */ (element));
  const toPixel = (/** @type {Float32Array} */ position, /** @type {number} */ i) => ({
    x: transform.x + transform.scale * position[2 * i],
    y: transform.y - transform.scale * position[2 * i + 1],
  });
  const anchors = state.anchors.map(({ word, x, y }) => ({ name: word, x: transform.x + transform.scale * x, y: transform.y - transform.scale * y }));
  const stars = anchors.map(({ x, y }) => ({ left: x - 9, right: x + 9, top: y - 9, bottom: y + 9 }));
  const names = showLabels
    ? placeLabels(anchors.map(({ name, x, y }) => ({ x, y, width: widthOf(name, ANCHOR_FONT) })), size, { taken: [...state.keepFree, ...stars] })
    : [];
  const taken = [...state.keepFree, ...stars];
  anchors.forEach(({ name }, i) => {
    const place = names[i];
    if (place) taken.push({ left: place.x - 2, right: place.x + widthOf(name, ANCHOR_FONT) + 2, top: place.y - 12, bottom: place.y + 4 });
  });
  const words = showLabels ? chooseWords(state, toPixel, taken) : [];
  element.setAttribute('aria-label', `Concept map of ${state.run}: anchors ${anchors.map(({ name }) => name).join(', ') || 'none'}`);
  render(svg`
    <g class="terrain" aria-hidden="true">${space.categories.map(({ slot }, i) => svg`<path class="line-slot-${slot}" d=${terrainPath(space, i, toPixel, size)}/>`)}</g>
    <g class="words">${words.map(({ word, x, y, bright }) => svg`<text class=${bright ? 'bright' : ''} x=${x} y=${y}>${word}</text>`)}</g>
    <g class="stars">${anchors.map(({ name, x, y }) => svg`<path d=${STAR} transform="translate(${x.toFixed(1)},${y.toFixed(1)})"><title>${titleOf(name, space.anchors.indexOf(name), state.nearest)}</title></path>`)}</g>
    <g class="names">${anchors.map(({ name }, i) => {
      const place = names[i];
      return place ? svg`<text x=${place.x.toFixed(1)} y=${place.y.toFixed(1)}>${name}</text>` : nothing;
    })}</g>`, /** @type {any} */ (element));
}

/** @param {string} name @param {number} i @param {OverlayState['nearest']} nearest */
function titleOf(name, i, nearest) {
  const neuron = i < 0 ? -1 : (nearest?.nearest_neuron[i] ?? -1);
  return neuron < 0 ? `anchor “${name}”` : `anchor “${name}”: nearest is neuron ${neuron}, at distance ${formatNumber(nearest?.nearest_distance[i])}`;
}

/**
 * Words in view that find room, those that neurons detect now first.
 * @param {OverlayState} state @param {(position: Float32Array, i: number) => {x: number, y: number}} toPixel
 * @param {import('../model/geometry.js').Rect[]} taken
 */
function chooseWords({ space, layer, epoch, size, zoom, concept, anchors: stars }, toPixel, taken) {
  if (!space) return [];
  const counts = new Uint32Array(space.words.length);
  if (layer) for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const id = labelOf(layer, Math.min(epoch, layer.steps.length - 1), neuron);
    if (id >= 0) counts[id]++;
  }
  const anchors = new Set(stars.map(({ word }) => word));
  const found = space.words
    .map((word, i) => ({ word, count: counts[i], bright: word === concept, ...toPixel(space.position, i) }))
    .filter(({ word, x, y, bright }) => (bright || !anchors.has(word)) && x > 0 && y > 0 && x < size.width && y < size.height)
    .sort((a, b) => Number(b.bright) - Number(a.bright) || b.count - a.count)
    .slice(0, 250);
  const places = placeLabels(found.map(({ word, x, y }) => ({ x, y, width: widthOf(word, WORD_FONT) })), size, { taken, gap: 5, height: 12, pad: zoom < DENSE_FROM_ZOOM ? SPARSE_PAD : 2 });
  return found.flatMap((entry, i) => (places[i] ? [{ ...entry, ...places[i] }] : [])).slice(0, MAX_WORDS);
}

/**
 * A dot for every concept of a category, as one path: a thousand elements would be slow to pan.
 * @param {import('../model/space.js').Space} space @param {number} category
 * @param {(position: Float32Array, i: number) => {x: number, y: number}} toPixel @param {{width: number, height: number}} size
 */
function terrainPath(space, category, toPixel, size) {
  let path = '';
  for (let i = 0; i < space.words.length; i++) {
    if (space.categoryOfWord[i] !== category) continue;
    const { x, y } = toPixel(space.position, i);
    if (x > 0 && y > 0 && x < size.width && y < size.height) path += `M${x.toFixed(1)},${y.toFixed(1)}h0`;
  }
  return path;
}
