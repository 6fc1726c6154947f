// @ts-check
/**
 * How the neurons of a layer are painted: for every step two or three bytes each, made when the step is first
 * drawn. `kind` says whether and how strongly, `code` which colour (a category's slot, a place on the ramp, or a
 * hue), `size` how large.
 */
import { displacementOf, INTERPRETABLE, isValid, labelOf, similarityOf, VALID } from './layer.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */
/** @typedef {'category' | 'concept' | 'layer' | 'run' | 'similarity' | 'displacement' | 'born'} ColorBy */
/** @typedef {'slot' | 'ramp' | 'hue' | 'source'} Scale how a code is read: category slot; 0..254 along the ramp; 0..254 around the colour wheel; the source's own colour */
/** @typedef {{code: Uint8Array, kind: Uint8Array, size: Uint8Array | null}} Coat of one step, (N) each; size 255: the usual one */
/** @typedef {{scale: Scale, colorBy: ColorBy, range: [number, number], at: (epoch: number) => Coat}} Paint */
/**
 * @typedef {object} PaintOptions
 * @property {ColorBy} colorBy
 * @property {ReadonlySet<string>} hidden category names switched off (NONE_KEY for no concept)
 * @property {string | null} concept the one word to bring out
 * @property {ReadonlySet<number> | null} [selection] the neurons to bring out, null for all
 * @property {boolean} [sizeBySimilarity]
 */

/** HIDDEN: not valid. FAINT: no concept. FULL: has one. DIM_*: the same, filtered out by the reader. */
export const KIND = { HIDDEN: 0, FAINT: 1, FULL: 2, DIM_FAINT: 3, DIM_FULL: 4 };
/** Colour code of "no value". */
export const NO_CODE = 255;
/** The key of "no concept" in the set of hidden categories; no category can have this name. */
export const NONE_KEY = '\u0000none';

/** @type {Record<ColorBy, Scale>} */
const SCALES = { category: 'slot', concept: 'hue', layer: 'source', run: 'source', similarity: 'ramp', displacement: 'ramp', born: 'ramp' };

/** The last coat of each frame and the rule it was made by. @type {WeakMap<import('./layer.js').Frame, {rule: unknown[], coat: Coat}>} */
const dried = new WeakMap();

/** @param {Layer} layer @param {SpaceAt} spaceAt @param {PaintOptions} options @returns {Paint} */
export function paintLayer(layer, spaceAt, options) {
  const scale = SCALES[options.colorBy];
  /** @type {[number, number]} */
  const range = options.colorBy === 'born' ? [0, Math.max(1, layer.steps.length - 1)] : scale === 'ramp' ? valueRange(layer, options.colorBy) : [0, 1];
  const sizes = options.sizeBySimilarity ? valueRange(layer, 'similarity') : null;
  const born = options.colorBy === 'born' ? bornAt(layer) : null;
  /** @type {Map<number, Coat>} */
  const coats = new Map();
  const { colorBy, hidden, concept, selection } = options;
  // What no other step has a say in outlives this paint: every step that comes in makes a new one.
  const alone = scale !== 'ramp' && !sizes;
  const at = (/** @type {number} */ epoch) => {
    let coat = coats.get(epoch);
    if (coat) return coat;
    const frame = layer.frames[epoch];
    const rule = [colorBy, hidden, concept, selection ?? null, layer.cut, spaceAt(epoch)];
    const before = alone && frame ? dried.get(frame) : undefined;
    coat = before?.rule.every((part, i) => part === rule[i]) ? before.coat : coatOf(layer, spaceAt, epoch, options, range, born, sizes);
    if (alone && frame) dried.set(frame, { rule, coat });
    coats.set(epoch, coat);
    return coat;
  };
  return { scale, colorBy: options.colorBy, range, at };
}

/** @param {Layer} layer @param {SpaceAt} spaceAt @param {number} epoch @param {PaintOptions} options @param {[number, number]} range @param {Int32Array | null} born @param {[number, number] | null} sizes @returns {Coat} */
function coatOf(layer, spaceAt, epoch, { colorBy, hidden, concept, selection }, range, born, sizes) {
  const space = spaceAt(epoch);
  const { neurons } = layer;
  const code = new Uint8Array(neurons).fill(NO_CODE);
  const kind = new Uint8Array(neurons);
  const size = sizes ? new Uint8Array(neurons) : null;
  const frame = layer.frames[epoch];
  if (!frame) return { code, kind, size };
  // Looked up once for each category, not for each of a hundred thousand neurons.
  const slots = space?.categories.map(({ slot }) => slot) ?? [];
  const dimmed = space?.categories.map(({ name }) => hidden.has(name)) ?? [];
  const noneDimmed = hidden.has(NONE_KEY);
  const words = space?.words.length ?? 0;
  const { flags, similarity, displacement } = frame;
  for (let neuron = 0; neuron < neurons; neuron++) {
    if ((flags[neuron] & VALID) === 0) continue;
    const interpretable = layer.cut === null ? (flags[neuron] & INTERPRETABLE) !== 0 : similarity[neuron] > layer.cut;
    const id = frame.concept[neuron];
    const category = space && interpretable && id >= 0 && id < words ? space.categoryOfWord[id] : -1;
    const filtered = (category >= 0 ? dimmed[category] : noneDimmed)
      || (concept !== null && (!interpretable || space?.words[id] !== concept)) || (selection && !selection.has(neuron));
    kind[neuron] = interpretable ? (filtered ? KIND.DIM_FULL : KIND.FULL) : filtered ? KIND.DIM_FAINT : KIND.FAINT;
    if (size && sizes) size[neuron] = rampCode(similarity[neuron], sizes);
    if (colorBy === 'category') code[neuron] = category >= 0 ? slots[category] : NO_CODE;
    else if (colorBy === 'concept') code[neuron] = interpretable ? hueOf(id) : NO_CODE;
    else if (colorBy === 'similarity') code[neuron] = rampCode(similarity[neuron], range);
    else if (colorBy === 'displacement') code[neuron] = rampCode(displacement[neuron], range);
    else if (colorBy === 'born') code[neuron] = born && born[neuron] >= 0 && born[neuron] <= epoch ? rampCode(born[neuron], range) : NO_CODE;
    else code[neuron] = interpretable ? 0 : NO_CODE;
  }
  return { code, kind, size };
}

/** A hue for each concept, neighbours in the list far apart (golden angle). @param {number} concept */
export const hueOf = (concept) => Math.floor(((concept * 0.61803398875) % 1) * 254);

/** First step at which each neuron was interpretable, as an index, -1 for never. @param {Layer} layer @returns {Int32Array} (N) */
export function bornAt(layer) {
  const born = new Int32Array(layer.neurons).fill(-1);
  for (let epoch = layer.steps.length - 1; epoch >= 0; epoch--) {
    if (!layer.frames[epoch]) continue;
    for (let neuron = 0; neuron < layer.neurons; neuron++) if (labelOf(layer, epoch, neuron) >= 0) born[neuron] = epoch;
  }
  return born;
}

/** @param {number} value @param {[number, number]} range */
function rampCode(value, [low, high]) {
  if (!Number.isFinite(value)) return NO_CODE;
  return Math.round(254 * Math.max(0, Math.min(1, (value - low) / (high - low || 1))));
}

/**
 * The values between which the ramp runs: the 2nd and 98th percentile over all steps, so that one outlier does not flatten it.
 * @param {Layer} layer @param {ColorBy} colorBy @returns {[number, number]}
 */
export function valueRange(layer, colorBy) {
  const values = [];
  const stride = Math.max(1, Math.floor((layer.loaded * layer.neurons) / 20000));
  const valueOf = colorBy === 'similarity' ? similarityOf : displacementOf;
  let i = 0;
  for (let epoch = 0; epoch < layer.steps.length; epoch++) {
    if (!layer.frames[epoch]) continue;
    for (; i < layer.neurons; i += stride) {
      const value = valueOf(layer, epoch, i);
      if (Number.isFinite(value) && isValid(layer, epoch, i)) values.push(value);
    }
    i -= layer.neurons;
  }
  if (values.length === 0) return [0, 1];
  values.sort((a, b) => a - b);
  const low = values[Math.floor(0.02 * (values.length - 1))];
  const high = values[Math.ceil(0.98 * (values.length - 1))];
  return high > low ? [low, high] : [low, low + 1];
}
