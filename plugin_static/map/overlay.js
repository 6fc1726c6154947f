// @ts-check
/** What is written on the map: anchors as green stars with names, and the concept words, more of them as one zooms in. */
import { nothing, render, svg } from '../lib.js';
import { placeLabels, starPath } from '../model/geometry.js';
import { formatNumber } from '../model/format.js';
import { mostCounted } from '../model/select.js';

/**
 * @typedef {object} OverlayState
 * @property {import('../model/space.js').Space | null} space
 * @property {Uint32Array} counts how many neurons detect each concept now; may be empty
 * @property {{width: number, height: number}} size
 * @property {import('../model/geometry.js').Transform} transform
 * @property {number} zoom
 * @property {boolean} showLabels
 * @property {string | null} concept the word that is brought out
 * @property {{word: string, x: number, y: number}[]} anchors as the reader has them, map units
 * @property {import('../api.js').Metrics['anchors']} nearest of each logged anchor at this step
 * @property {import('../model/geometry.js').Rect[]} keepFree places where other things are written
 */
/** @typedef {{text: string, x: number, y: number, title: string}} Star centre, px */
/** @typedef {{text: string, x: number, y: number, bright: boolean}} Written start of the baseline, px */
/** @typedef {{stars: Star[], names: Written[], words: Written[]}} Writing */

export const STAR = starPath(8.5);
/** Fully zoomed out the words are few and far between, to tell regions apart; close up all that find room. */
const DENSE_FROM_ZOOM = 1.5;
const SPARSE_PAD = 26;
const MAX_WORDS = 90;
const MAX_TRIED = 250;
const FAMILY = '"Inter Variable", system-ui, sans-serif';
export const ANCHOR_FONT = `600 12.5px ${FAMILY}`;
export const WORD_FONT = `500 11px ${FAMILY}`;
export const BRIGHT_FONT = `650 11px ${FAMILY}`;

const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'));
/** @type {Map<string, Map<string, number>>} */
const widths = new Map();
/** @param {string} text @param {string} font */
function widthOf(text, font) {
  let known = widths.get(font);
  if (!known) widths.set(font, (known = new Map()));
  let width = known.get(text);
  if (width === undefined) {
    ruler.font = font;
    width = ruler.measureText(text).width;
    known.set(text, width);
  }
  return width;
}

/** Where everything is written. @param {OverlayState} state @returns {Writing} */
export function layOut(state) {
  const { space, size, transform, showLabels } = state;
  if (!space || !size.width) return { stars: [], names: [], words: [] };
  const stars = state.anchors.map(({ word, x, y }) => ({
    text: word, x: transform.x + transform.scale * x, y: transform.y - transform.scale * y, title: titleOf(word, space.anchors.indexOf(word), state.nearest),
  }));
  if (!showLabels) return { stars, names: [], words: [] };
  const taken = [...state.keepFree, ...stars.map(({ x, y }) => ({ left: x - 9, right: x + 9, top: y - 9, bottom: y + 9 }))];
  const places = placeLabels(stars.map(({ text, x, y }) => ({ x, y, width: widthOf(text, ANCHOR_FONT) })), size, { taken });
  const names = stars.flatMap(({ text }, i) => (places[i] ? [{ text, bright: false, ...places[i] }] : []));
  for (const { text, x, y } of names) taken.push({ left: x - 2, right: x + widthOf(text, ANCHOR_FONT) + 2, top: y - 12, bottom: y + 4 });
  return { stars, names, words: chooseWords(state, space, taken) };
}

/** @param {string} name @param {number} i @param {OverlayState['nearest']} nearest */
function titleOf(name, i, nearest) {
  const neuron = i < 0 ? -1 : (nearest?.nearest_neuron[i] ?? -1);
  return neuron < 0 ? `anchor “${name}”` : `anchor “${name}”: nearest is neuron ${neuron}, at distance ${formatNumber(nearest?.nearest_distance[i])}`;
}

/**
 * Words in view that find room, those that neurons detect now first.
 * @param {OverlayState} state @param {import('../model/space.js').Space} space @param {import('../model/geometry.js').Rect[]} taken
 * @returns {Written[]}
 */
function chooseWords({ counts, size, zoom, transform, concept, anchors }, space, taken) {
  const starred = new Set(anchors.map(({ word }) => word));
  const bright = concept === null ? -1 : space.words.indexOf(concept);
  const found = mostCounted(space.position, counts, transform, size, MAX_TRIED).filter((i) => i !== bright && !starred.has(space.words[i]));
  if (bright >= 0) found.unshift(bright);
  const { scale, x, y } = transform;
  const requests = found.map((i) => ({ x: x + scale * space.position[2 * i], y: y - scale * space.position[2 * i + 1], width: widthOf(space.words[i], i === bright ? BRIGHT_FONT : WORD_FONT) }));
  const places = placeLabels(requests, size, { taken, gap: 5, height: 12, pad: zoom < DENSE_FROM_ZOOM ? SPARSE_PAD : 2, most: MAX_WORDS });
  return found.flatMap((i, rank) => (places[rank] ? [{ text: space.words[i], bright: i === bright, ...places[rank] }] : []));
}

/** @param {SVGSVGElement} element @param {Writing} writing */
export function renderOverlay(element, { stars, names, words }) {
  render(svg`
    <g class="words">${words.map(({ text, x, y, bright }) => svg`<text class=${bright ? 'bright' : nothing} x=${x.toFixed(1)} y=${y.toFixed(1)}>${text}</text>`)}</g>
    <g class="stars">${stars.map(({ x, y, title }) => svg`<path d=${STAR} transform="translate(${x.toFixed(1)},${y.toFixed(1)})"><title>${title}</title></path>`)}</g>
    <g class="names">${names.map(({ text, x, y }) => svg`<text x=${x.toFixed(1)} y=${y.toFixed(1)}>${text}</text>`)}</g>`, /** @type {any} */ (element));
}
