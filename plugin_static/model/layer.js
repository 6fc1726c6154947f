// @ts-check
/** One layer of one run over all logged steps, as flat arrays, and the questions that views ask of it. */
import { clamp } from './steps.js';

const INTERPRETABLE = 1;
const VALID = 2;

/**
 * @typedef {object} Layer E steps, N neurons, K concepts and M images per neuron
 * @property {string} name
 * @property {number} neurons N
 * @property {number[]} steps (E) ascending
 * @property {string[]} spaces (E) fingerprint of the space of each step
 * @property {number} topK K
 * @property {number} images M
 * @property {Float32Array} position (E, N, 2); where a neuron is not valid, its nearest valid place in time
 * @property {Int32Array} concept (E, N, K), -1 for none
 * @property {Float32Array} similarity (E, N, K)
 * @property {Uint8Array} flags (E, N)
 * @property {Float32Array} displacement (E, N), NaN at the first step
 * @property {Int32Array} topImages (E, N, M), -1 for none
 */

/** @param {import('../container.js').Container} container @returns {Layer} */
export function layerFromContainer({ attrs, arrays }) {
  const steps = Array.from(/** @type {Int32Array} */ (arrays.steps.values));
  const [, neurons] = arrays.flags.shape;
  const spaces = Array.isArray(attrs.space) ? attrs.space : steps.map(() => attrs.space);
  return {
    name: attrs.layer,
    neurons,
    steps,
    spaces,
    topK: arrays.concept_ids.shape[2],
    images: arrays.top_images.shape[2],
    position: fillGaps(Float32Array.from(arrays.position.values), steps.length, neurons),
    concept: /** @type {Int32Array} */ (arrays.concept_ids.values),
    similarity: /** @type {Float32Array} */ (arrays.similarity.values),
    flags: /** @type {Uint8Array} */ (arrays.flags.values),
    displacement: /** @type {Float32Array} */ (arrays.displacement.values),
    topImages: /** @type {Int32Array} */ (arrays.top_images.values),
  };
}

/**
 * The layer with later steps added, or null when the two do not fit together (then fetch all again).
 * @param {Layer} layer @param {Layer} later @returns {Layer | null}
 */
export function appendLayer(layer, later) {
  if (later.steps.length === 0) return layer;
  const fits = later.neurons === layer.neurons && later.topK === layer.topK && later.images === layer.images;
  if (!fits || later.steps[0] <= layer.steps[layer.steps.length - 1]) return null;
  const steps = [...layer.steps, ...later.steps];
  return {
    ...layer,
    steps,
    spaces: [...layer.spaces, ...later.spaces],
    position: fillGaps(joinFloats(layer.position, later.position), steps.length, layer.neurons),
    concept: joinInts(layer.concept, later.concept),
    similarity: joinFloats(layer.similarity, later.similarity),
    flags: joinBytes(layer.flags, later.flags),
    displacement: joinFloats(layer.displacement, later.displacement),
    topImages: joinInts(layer.topImages, later.topImages),
  };
}

/** @param {Float32Array} a @param {Float32Array} b */
const joinFloats = (a, b) => { const joined = new Float32Array(a.length + b.length); joined.set(a); joined.set(b, a.length); return joined; };
/** @param {Int32Array} a @param {Int32Array} b */
const joinInts = (a, b) => { const joined = new Int32Array(a.length + b.length); joined.set(a); joined.set(b, a.length); return joined; };
/** @param {Uint8Array} a @param {Uint8Array} b */
const joinBytes = (a, b) => { const joined = new Uint8Array(a.length + b.length); joined.set(a); joined.set(b, a.length); return joined; };

/**
 * Replace NaN places by the same neuron's nearest earlier place, else its next later one, else 0, so that
 * motion can always be interpolated; whether a neuron is drawn is told by its flags.
 * @param {Float32Array} position (epochs, neurons, 2), changed in place @param {number} epochs @param {number} neurons
 */
export function fillGaps(position, epochs, neurons) {
  const stride = 2 * neurons;
  for (let column = 0; column < stride; column++) {
    let known = NaN;
    for (let epoch = 0; epoch < epochs && Number.isNaN(known); epoch++) known = position[epoch * stride + column];
    if (Number.isNaN(known)) known = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const value = position[epoch * stride + column];
      if (Number.isNaN(value)) position[epoch * stride + column] = known;
      else known = value;
    }
  }
  return position;
}

/** @param {Layer} layer @param {number} epoch @param {number} neuron */
export const isValid = (layer, epoch, neuron) => (layer.flags[epoch * layer.neurons + neuron] & VALID) !== 0;
/** @param {Layer} layer @param {number} epoch @param {number} neuron */
export const isInterpretable = (layer, epoch, neuron) => (layer.flags[epoch * layer.neurons + neuron] & INTERPRETABLE) !== 0;
/** Best concept, -1 for none. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const conceptOf = (layer, epoch, neuron) => layer.concept[(epoch * layer.neurons + neuron) * layer.topK];
/** What a neuron counts as: its best concept if interpretable, else -1. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const labelOf = (layer, epoch, neuron) => (isInterpretable(layer, epoch, neuron) ? conceptOf(layer, epoch, neuron) : -1);
/** @param {Layer} layer @param {number} epoch @param {number} neuron */
export const similarityOf = (layer, epoch, neuron) => layer.similarity[(epoch * layer.neurons + neuron) * layer.topK];

/** Top concepts with their similarity, best first. @param {Layer} layer @param {number} epoch @param {number} neuron */
export function topConcepts(layer, epoch, neuron) {
  const start = (epoch * layer.neurons + neuron) * layer.topK;
  const found = [];
  for (let rank = 0; rank < layer.topK; rank++) {
    if (layer.concept[start + rank] >= 0) found.push({ concept: layer.concept[start + rank], similarity: layer.similarity[start + rank] });
  }
  return found;
}

/** Ids of the most activating images, best first. @param {Layer} layer @param {number} epoch @param {number} neuron */
export function topImages(layer, epoch, neuron) {
  const start = (epoch * layer.neurons + neuron) * layer.images;
  return Array.from(layer.topImages.subarray(start, start + layer.images)).filter((id) => id >= 0);
}

/** The two steps around a fractional index and the share of the later one. @param {Layer} layer @param {number} cursor */
export function between(layer, cursor) {
  const last = layer.steps.length - 1;
  const bounded = clamp(cursor, 0, last);
  const before = Math.min(Math.floor(bounded), last);
  const after = Math.min(before + 1, last);
  // Two concept spaces have two maps: nothing moves from one to the other, it jumps half way.
  if (layer.spaces[before] !== layer.spaces[after]) {
    const nearest = bounded - before < 0.5 ? before : after;
    return { before: nearest, after: nearest, share: 0 };
  }
  return { before, after, share: bounded - before };
}

/** Place of a neuron on the map at a fractional index. @param {Layer} layer @param {number} neuron @param {number} cursor @returns {[number, number]} */
export function placeOf(layer, neuron, cursor) {
  const { before, after, share } = between(layer, cursor);
  const a = 2 * (before * layer.neurons + neuron);
  const b = 2 * (after * layer.neurons + neuron);
  const { position } = layer;
  return [position[a] + (position[b] - position[a]) * share, position[a + 1] + (position[b + 1] - position[a + 1]) * share];
}

/**
 * The nearest drawn neuron within a radius, by brute force (0.3 ms for 100,000), so that no index has to keep up with time.
 * @param {Layer} layer @param {number} cursor @param {number} x @param {number} y @param {number} radius in map units
 * @param {(epoch: number, neuron: number) => boolean} isDrawn
 * @returns {number | null}
 */
export function pickNeuron(layer, cursor, x, y, radius, isDrawn) {
  const { before, after, share } = between(layer, cursor);
  const epoch = share < 0.5 ? before : after;
  const { position, neurons } = layer;
  const a = 2 * before * neurons;
  const b = 2 * after * neurons;
  let best = null;
  let bestSquare = radius * radius;
  for (let neuron = 0; neuron < neurons; neuron++) {
    const i = 2 * neuron;
    const dx = position[a + i] + (position[b + i] - position[a + i]) * share - x;
    const dy = position[a + i + 1] + (position[b + i + 1] - position[a + i + 1]) * share - y;
    const square = dx * dx + dy * dy;
    if (square < bestSquare && isDrawn(epoch, neuron)) {
      best = neuron;
      bestSquare = square;
    }
  }
  return best;
}
