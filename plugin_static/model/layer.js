// @ts-check
/**
 * One layer of one run over all logged steps, and the questions that views ask of it. What the map needs of a
 * step is its frame, what a card needs besides is its detail; both come in bit by bit, the step shown first, so
 * that a long run opens as fast as a short one. Views use the functions below and never look into frames that
 * may be missing.
 */
import { clamp } from './steps.js';

/** Bits of `flags`. */
export const INTERPRETABLE = 1;
export const VALID = 2;
export const UNKNOWN = 4;

/**
 * @typedef {object} Frame what the map needs of one step, N neurons
 * @property {Float32Array} position (N, 2), NaN where not valid
 * @property {Int32Array} concept (N) best concept, -1 for none
 * @property {Float32Array} similarity (N) to the best concept
 * @property {Uint8Array} flags (N)
 * @property {Float32Array} displacement (N), NaN at the first step
 */
/**
 * @typedef {object} Detail what a card needs besides, K concepts and M images per neuron
 * @property {Int32Array} concept (N, K) best first, -1 for none
 * @property {Float32Array} similarity (N, K)
 * @property {Int32Array} topImages (N, M), -1 for none
 * @property {Uint8Array | null} topPatches (N, M, 4) left, top, right, bottom in 1/255 of the image; all 0: unknown
 */
/**
 * @typedef {object} Layer E steps, N neurons. Never changed in place: what comes in makes a new one.
 * @property {string} run
 * @property {string} name
 * @property {number} neurons N
 * @property {number[]} steps (E) ascending
 * @property {number[]} wallTimes (E) seconds
 * @property {string[]} spaces (E) fingerprint of the space of each step, '' until its frame is there
 * @property {number} topK K
 * @property {number} images M
 * @property {(Frame | null)[]} frames (E)
 * @property {(Detail | null)[]} details (E)
 * @property {number} loaded how many frames are there
 * @property {number | null} cut similarity above which a neuron counts as interpretable; null: as it was logged
 */

/** @param {string} run @param {string} name @param {import('../api.js').LayerIndex} listed @returns {Layer} without any frame */
export function emptyLayer(run, name, { neurons, steps, wall_times: wallTimes }) {
  const nothing = () => steps.map(() => null);
  return { run, name, neurons, steps, wallTimes, spaces: steps.map(() => ''), topK: 0, images: 0, frames: nothing(), details: nothing(), loaded: 0, cut: null };
}

/**
 * The layer with the frames of an answer put in; steps that it does not have are left out.
 * @param {Layer} layer @param {import('../container.js').Container} container part `frames` of the route `layer`
 * @returns {Layer}
 */
export function withFrames(layer, { attrs, arrays }) {
  const next = { ...layer, frames: [...layer.frames], spaces: [...layer.spaces], topK: attrs.top_concepts ?? layer.topK, images: attrs.images ?? layer.images };
  const places = indexOf(layer.steps);
  stepsOf(attrs, arrays).forEach((step, i) => {
    const at = places.get(step);
    if (at === undefined || arrays.flags.shape[1] !== layer.neurons) return;
    const part = (/** @type {string} */ name, /** @type {number} */ width) => slice(arrays[name].values, i, width * layer.neurons);
    next.frames[at] = /** @type {Frame} */ ({
      position: part('position', 2), concept: part('concept_ids', 1), similarity: part('similarity', 1),
      flags: part('flags', 1), displacement: part('displacement', 1),
    });
    next.spaces[at] = Array.isArray(attrs.space) ? attrs.space[i] : attrs.space;
  });
  next.loaded = next.frames.reduce((count, frame) => count + Number(frame !== null), 0);
  return next;
}

/** @param {Layer} layer @param {import('../container.js').Container} container part `details` @returns {Layer} */
export function withDetails(layer, { attrs, arrays }) {
  const next = { ...layer, details: [...layer.details] };
  const places = indexOf(layer.steps);
  const [, neurons, topK] = arrays.concept_ids.shape;
  const images = arrays.top_images.shape[2];
  stepsOf(attrs, arrays).forEach((step, i) => {
    const at = places.get(step);
    if (at === undefined || neurons !== layer.neurons) return;
    next.details[at] = {
      concept: /** @type {Int32Array} */ (slice(arrays.concept_ids.values, i, neurons * topK)),
      similarity: /** @type {Float32Array} */ (slice(arrays.similarity.values, i, neurons * topK)),
      topImages: /** @type {Int32Array} */ (slice(arrays.top_images.values, i, neurons * images)),
      topPatches: arrays.top_patches ? /** @type {Uint8Array} */ (slice(arrays.top_patches.values, i, neurons * images * 4)) : null,
    };
    next.topK = topK;
    next.images = images;
  });
  return next;
}

/**
 * The layer for a new listing: what is still true of the old one is kept. A run started again may log the same
 * steps anew: the clock tells.
 * @param {Layer} layer @param {import('../api.js').LayerIndex} listed @returns {Layer}
 */
export function relisted(layer, listed) {
  const next = emptyLayer(layer.run, layer.name, listed);
  if (listed.neurons !== layer.neurons) return next;
  const places = indexOf(layer.steps);
  listed.steps.forEach((step, at) => {
    const before = places.get(step);
    if (before === undefined || layer.wallTimes[before] !== listed.wall_times[at]) return;
    next.frames[at] = layer.frames[before];
    next.details[at] = layer.details[before];
    next.spaces[at] = layer.spaces[before];
    next.loaded += Number(next.frames[at] !== null);
  });
  return { ...next, topK: layer.topK, images: layer.images, cut: layer.cut };
}

/** The layer without the frames and details of some steps, to give their memory back. @param {Layer} layer @param {(epoch: number) => boolean} frames which to keep @param {(epoch: number) => boolean} details */
export function keepOnly(layer, frames, details) {
  const kept = layer.frames.map((frame, epoch) => (frames(epoch) ? frame : null));
  return {
    ...layer, frames: kept, loaded: kept.reduce((count, frame) => count + Number(frame !== null), 0),
    details: layer.details.map((detail, epoch) => (details(epoch) ? detail : null)),
  };
}

/** @param {any} attrs @param {Record<string, import('../container.js').ArrayEntry>} arrays @returns {number[]} */
const stepsOf = (attrs, arrays) => (Array.isArray(attrs.steps) ? attrs.steps : Array.from(arrays.steps.values));
/** @param {number[]} steps */
const indexOf = (steps) => new Map(steps.map((step, i) => [step, i]));
/** A copy, so that a frame can be let go without its neighbours. @param {import('../container.js').Values} values @param {number} i @param {number} size */
const slice = (values, i, size) => values.slice(i * size, (i + 1) * size);

/** Bytes that one frame, and one detail, of a layer take. @param {Layer} layer */
export const frameBytes = ({ neurons }) => 21 * neurons;
/** @param {Layer} layer */
export const detailBytes = ({ neurons, topK, images }) => neurons * (8 * Math.max(topK, 5) + 8 * Math.max(images, 8));

/** @param {Layer} layer @param {number} epoch */
export const isLoaded = (layer, epoch) => Boolean(layer.frames[epoch]);
/** @param {Layer} layer @param {number} epoch @param {number} neuron */
export const isValid = (layer, epoch, neuron) => ((layer.frames[epoch]?.flags[neuron] ?? 0) & VALID) !== 0;
/** Not valid, though it has a signal: the space knows none of its stimuli. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const isUnknown = (layer, epoch, neuron) => ((layer.frames[epoch]?.flags[neuron] ?? 0) & (VALID | UNKNOWN)) === UNKNOWN;
/** @param {Layer} layer @param {number} epoch @param {number} neuron */
export function isInterpretable(layer, epoch, neuron) {
  const frame = layer.frames[epoch];
  if (!frame || !(frame.flags[neuron] & VALID)) return false;
  return layer.cut === null ? (frame.flags[neuron] & INTERPRETABLE) !== 0 : frame.similarity[neuron] > layer.cut;
}
/** Best concept, -1 for none. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const conceptOf = (layer, epoch, neuron) => layer.frames[epoch]?.concept[neuron] ?? -1;
/** What a neuron counts as: its best concept if interpretable, else -1. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const labelOf = (layer, epoch, neuron) => (isInterpretable(layer, epoch, neuron) ? conceptOf(layer, epoch, neuron) : -1);
/** To the best concept, NaN where not known. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const similarityOf = (layer, epoch, neuron) => layer.frames[epoch]?.similarity[neuron] ?? NaN;
/** Since the step before, NaN where not known. @param {Layer} layer @param {number} epoch @param {number} neuron */
export const displacementOf = (layer, epoch, neuron) => layer.frames[epoch]?.displacement[neuron] ?? NaN;

/** Top concepts with their similarity, best first; only the best until the details are there. @param {Layer} layer @param {number} epoch @param {number} neuron */
export function topConcepts(layer, epoch, neuron) {
  const detail = layer.details[epoch];
  const found = [];
  if (detail) {
    const start = neuron * layer.topK;
    for (let rank = 0; rank < layer.topK; rank++) {
      if (detail.concept[start + rank] >= 0) found.push({ concept: detail.concept[start + rank], similarity: detail.similarity[start + rank] });
    }
  } else if (conceptOf(layer, epoch, neuron) >= 0) {
    found.push({ concept: conceptOf(layer, epoch, neuron), similarity: similarityOf(layer, epoch, neuron) });
  }
  return found;
}

/** Ids of the most activating images, best first; none until the details are there. @param {Layer} layer @param {number} epoch @param {number} neuron */
export function topImages(layer, epoch, neuron) {
  const detail = layer.details[epoch];
  if (!detail) return [];
  return Array.from(detail.topImages.subarray(neuron * layer.images, (neuron + 1) * layer.images)).filter((id) => id >= 0);
}

/** The loaded step nearest to one, -1 when there is none. @param {Layer} layer @param {number} epoch */
export function nearestLoaded(layer, epoch) {
  for (let away = 0; away < layer.steps.length; away++) {
    if (layer.frames[epoch - away]) return epoch - away;
    if (layer.frames[epoch + away]) return epoch + away;
  }
  return -1;
}

/** @typedef {{before: number, after: number, share: number}} Moment indices of two loaded steps and the share of the later one */

/** What is drawn at a fractional index: the two steps around it, or the nearest one that is there. @param {Layer} layer @param {number} cursor @returns {Moment} before is -1 while nothing is there */
export function between(layer, cursor) {
  const last = layer.steps.length - 1;
  const bounded = clamp(cursor, 0, last);
  const before = Math.min(Math.floor(bounded), last);
  const after = Math.min(before + 1, last);
  const share = bounded - before;
  if (layer.frames[before] && (share === 0 || (layer.frames[after] && layer.spaces[before] === layer.spaces[after]))) return { before, after: share === 0 ? before : after, share };
  // Two concept spaces have two maps: nothing moves from one to the other, it jumps half way.
  const nearest = nearestLoaded(layer, share < 0.5 ? before : after);
  return { before: nearest, after: nearest, share: 0 };
}

/** The step whose labels and colours hold at a moment. @param {Moment} moment */
export const epochOf = ({ before, after, share }) => (share < 0.5 ? before : after);

/**
 * Place of a neuron at a moment; where it is not valid at one of the two steps, its place at the other.
 * @param {Layer} layer @param {number} neuron @param {Moment} moment @returns {[number, number]} NaN where it is nowhere
 */
export function placeAt(layer, neuron, { before, after, share }) {
  const a = layer.frames[before]?.position;
  const b = layer.frames[after]?.position;
  if (!a || !b) return [NaN, NaN];
  const i = 2 * neuron;
  if (Number.isNaN(a[i])) return [b[i], b[i + 1]];
  if (Number.isNaN(b[i]) || share === 0) return [a[i], a[i + 1]];
  return [a[i] + (b[i] - a[i]) * share, a[i + 1] + (b[i + 1] - a[i + 1]) * share];
}

/** Place of a neuron at a fractional index. @param {Layer} layer @param {number} neuron @param {number} cursor @returns {[number, number]} */
export const placeOf = (layer, neuron, cursor) => placeAt(layer, neuron, between(layer, cursor));

/**
 * The nearest drawn neuron within a radius, by brute force (0.3 ms for 100,000), so that no index has to keep up with time.
 * @param {Layer} layer @param {number} cursor @param {number} x @param {number} y @param {number} radius in map units
 * @param {(epoch: number, neuron: number) => boolean} isDrawn
 * @returns {number | null}
 */
export function pickNeuron(layer, cursor, x, y, radius, isDrawn) {
  const moment = between(layer, cursor);
  const epoch = epochOf(moment);
  const a = layer.frames[moment.before]?.position;
  const b = layer.frames[moment.after]?.position;
  if (!a || !b) return null;
  const { share } = moment;
  let best = null;
  let bestSquare = radius * radius;
  // Written out, without a place object for each: this runs at every move of the pointer.
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    let placeX = a[2 * neuron];
    let placeY = a[2 * neuron + 1];
    if (placeX !== placeX) {
      placeX = b[2 * neuron];
      placeY = b[2 * neuron + 1];
    } else if (share > 0 && b[2 * neuron] === b[2 * neuron]) {
      placeX += (b[2 * neuron] - placeX) * share;
      placeY += (b[2 * neuron + 1] - placeY) * share;
    }
    const square = (placeX - x) * (placeX - x) + (placeY - y) * (placeY - y);
    if (square < bestSquare && isDrawn(epoch, neuron)) {
      best = neuron;
      bestSquare = square;
    }
  }
  return best;
}
