// @ts-check
/** A layer over many steps made small enough to be one file: chosen steps, places of 16 bits, text for bytes. */
import { isInterpretable, labelOf } from './layer.js';
import { categoryOf, wordOf } from './space.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */

/** Neurons times steps that one file or film holds: 20,000 neurons at 200 steps. */
export const MAX_POINTS = 4e6;
/** No more than this many even of few neurons: nobody watches them all. */
export const MAX_STEPS = 400;
/** What stands for "nowhere" and "no concept" among numbers of 16 bits. */
export const NOTHING = 0xffff;

/**
 * Which steps of a range to keep: all, or as many as fit, evenly and with both ends.
 * @param {number} from index @param {number} to index @param {number} neurons of all layers together @param {number} [most] neurons times steps
 * @returns {number[]} indices
 */
export function chooseSteps(from, to, neurons, most = MAX_POINTS) {
  const count = to - from + 1;
  const room = Math.max(2, Math.min(MAX_STEPS, Math.floor(most / Math.max(1, neurons))));
  if (count <= room) return Array.from({ length: Math.max(0, count) }, (_, i) => from + i);
  return Array.from({ length: room }, (_, i) => Math.round(from + (i * (to - from)) / (room - 1)));
}

/**
 * The place in time of every frame of a film, which holds its first and last step a moment.
 * @param {number} steps @param {number} perSecond @param {number} framesPerSecond @param {number} hold seconds
 * @returns {number[]} fractional indices
 */
export function filmFrames(steps, perSecond, framesPerSecond, hold) {
  const seconds = (steps - 1) / perSecond;
  const count = Math.ceil((seconds + 2 * hold) * framesPerSecond) + 1;
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(1, (i / framesPerSecond - hold) / seconds)) * (steps - 1));
}

/** The layer with some of its steps alone. @param {Layer} layer @param {number[]} epochs @returns {Layer} */
export function thinned(layer, epochs) {
  const frames = epochs.map((epoch) => layer.frames[epoch]);
  return {
    ...layer, steps: epochs.map((epoch) => layer.steps[epoch]), wallTimes: epochs.map((epoch) => layer.wallTimes[epoch]), spaces: epochs.map((epoch) => layer.spaces[epoch]),
    frames, details: epochs.map((epoch) => layer.details[epoch]), loaded: frames.filter(Boolean).length,
  };
}

/** Bytes as text (base64), numbers little endian as every browser has them. @param {ArrayBufferView} values */
export function toText(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = '';
  // In parts: a call with millions of arguments fails.
  for (let i = 0; i < bytes.length; i += 0x6000) text += btoa(String.fromCharCode(...bytes.subarray(i, i + 0x6000)));
  return text;
}

/**
 * @typedef {object} LayerRecord E steps, N neurons; arrays as text
 * @property {string} run
 * @property {string} layer
 * @property {number} neurons N
 * @property {number[]} steps (E)
 * @property {number[]} places (E) on the axis
 * @property {[number, number, number, number]} box left, right, bottom, top of all places
 * @property {string} positions u16 (E, N, 2) within the box
 * @property {string} labels u16 (E, N) index of a word, NOTHING where the neuron has no concept
 * @property {string} kinds u8 (E, N) KIND of model/paint.js
 * @property {string} codes u8 (E, N) colour; '' where that of the word's category is meant
 * @property {string[]} words
 * @property {number[]} groups category of each word, as an index
 * @property {number[]} spaces (E) which map a step has: places of different maps are not joined
 */

/**
 * @param {Layer} layer with all its frames @param {SpaceAt} spaceAt @param {import('./paint.js').Paint} paint @param {number[]} places
 * @param {import('./space.js').Category[]} categories those of the legend
 * @returns {LayerRecord}
 */
export function recordLayer(layer, spaceAt, paint, places, categories) {
  const { neurons, steps } = layer;
  const total = steps.length * neurons;
  const box = boxOf(layer);
  const positions = new Uint16Array(2 * total);
  const labels = new Uint16Array(total).fill(NOTHING);
  const kinds = new Uint8Array(total);
  const codes = new Uint8Array(paint.scale === 'slot' ? 0 : total);
  /** @type {Map<string, number>} */
  const known = new Map();
  /** @type {number[]} */
  const groups = [];
  const spaces = new Map([...new Set(layer.spaces)].map((fingerprint, i) => [fingerprint, i]));
  steps.forEach((_, epoch) => {
    const frame = layer.frames[epoch];
    if (!frame) return;
    const start = epoch * neurons;
    quantisePlaces(frame.position, box, positions, 2 * start);
    const coat = paint.at(epoch);
    kinds.set(coat.kind, start);
    if (codes.length) codes.set(coat.code, start);
    const space = spaceAt(epoch);
    if (!space) return;
    for (let neuron = 0; neuron < neurons; neuron++) {
      if (!isInterpretable(layer, epoch, neuron)) continue;
      const concept = labelOf(layer, epoch, neuron);
      const word = wordOf(space, concept);
      let index = known.get(word);
      if (index === undefined && known.size < NOTHING) {
        known.set(word, (index = known.size));
        const name = categoryOf(space, concept)?.name;
        groups.push(categories.findIndex((category) => category.name === name));
      }
      labels[start + neuron] = index ?? NOTHING;
    }
  });
  return {
    run: layer.run, layer: layer.name, neurons, steps: [...layer.steps], places: [...places], box, positions: toText(positions), labels: toText(labels), kinds: toText(kinds),
    codes: toText(codes), words: [...known.keys()], groups, spaces: layer.spaces.map((fingerprint) => spaces.get(fingerprint) ?? 0),
  };
}

/** @param {Layer} layer @returns {[number, number, number, number]} left, right, bottom, top */
function boxOf({ frames }) {
  /** @type {[number, number, number, number]} */
  const box = [Infinity, -Infinity, Infinity, -Infinity];
  for (const frame of frames) {
    for (let i = 0; frame && i < frame.position.length; i += 2) {
      const [x, y] = [frame.position[i], frame.position[i + 1]];
      if (x < box[0]) box[0] = x;
      if (x > box[1]) box[1] = x;
      if (y < box[2]) box[2] = y;
      if (y > box[3]) box[3] = y;
    }
  }
  return box[0] <= box[1] ? box : [-1, 1, -1, 1];
}

/** @param {Float32Array} position (N, 2) @param {[number, number, number, number]} box @param {Uint16Array} into @param {number} start */
function quantisePlaces(position, [left, right, bottom, top], into, start) {
  const [scaleX, scaleY] = [(NOTHING - 1) / (right - left || 1), (NOTHING - 1) / (top - bottom || 1)];
  for (let i = 0; i < position.length; i += 2) {
    const known = position[i] === position[i] && position[i + 1] === position[i + 1];
    into[start + i] = known ? Math.round((position[i] - left) * scaleX) : NOTHING;
    into[start + i + 1] = known ? Math.round((position[i + 1] - bottom) * scaleY) : NOTHING;
  }
}
