// @ts-check
/**
 * How every neuron of a layer is painted at every step: two bytes each, the same for both renderers.
 * `kind` says whether and how large, `code` which colour (a category's slot, or a place on the ramp).
 */
import { conceptOf, isInterpretable, isValid } from './layer.js';
import { categoryOf } from './space.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */
/** @typedef {'category' | 'similarity' | 'displacement'} ColorBy */
/** @typedef {{code: Uint8Array, kind: Uint8Array, colorBy: ColorBy, range: [number, number]}} Paint arrays (epochs, neurons) */

/** HIDDEN: not valid. FAINT: no concept. FULL: has one. DIM_*: the same, filtered out by the reader. */
export const KIND = { HIDDEN: 0, FAINT: 1, FULL: 2, DIM_FAINT: 3, DIM_FULL: 4 };
/** Colour code of "no value". */
export const NO_CODE = 255;

/**
 * @param {Layer} layer @param {SpaceAt} spaceAt
 * @param {{colorBy: ColorBy, hidden: ReadonlySet<string>, concept: string | null}} options hidden: category
 *   names switched off ('none' for uninterpretable); concept: the one word to bring out
 * @returns {Paint}
 */
export function paintLayer(layer, spaceAt, { colorBy, hidden, concept }) {
  const total = layer.steps.length * layer.neurons;
  const code = new Uint8Array(total).fill(NO_CODE);
  const kind = new Uint8Array(total);
  const range = colorBy === 'category' ? /** @type {[number, number]} */ ([0, 1]) : valueRange(layer, colorBy);
  for (let epoch = 0; epoch < layer.steps.length; epoch++) {
    const space = spaceAt(epoch);
    for (let neuron = 0; neuron < layer.neurons; neuron++) {
      if (!isValid(layer, epoch, neuron)) continue;
      const i = epoch * layer.neurons + neuron;
      const interpretable = isInterpretable(layer, epoch, neuron);
      const id = conceptOf(layer, epoch, neuron);
      const category = space && interpretable ? categoryOf(space, id) : null;
      const filtered = hidden.has(category ? category.name : NONE_KEY) || (concept !== null && space?.words[id] !== concept);
      kind[i] = interpretable ? (filtered ? KIND.DIM_FULL : KIND.FULL) : filtered ? KIND.DIM_FAINT : KIND.FAINT;
      if (colorBy === 'category') code[i] = category ? category.slot : NO_CODE;
      else code[i] = rampCode(colorBy === 'similarity' ? layer.similarity[i * layer.topK] : layer.displacement[i], range);
    }
  }
  return { code, kind, colorBy, range };
}

/** The key of "no concept" in the set of hidden categories; no category can have this name. */
export const NONE_KEY = '\u0000none';

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
  const stride = Math.max(1, Math.floor((layer.steps.length * layer.neurons) / 20000));
  for (let i = 0; i < layer.steps.length * layer.neurons; i += stride) {
    const value = colorBy === 'similarity' ? layer.similarity[i * layer.topK] : layer.displacement[i];
    if (Number.isFinite(value) && layer.flags[i] & 2) values.push(value);
  }
  if (values.length === 0) return [0, 1];
  values.sort((a, b) => a - b);
  const low = values[Math.floor(0.02 * (values.length - 1))];
  const high = values[Math.ceil(0.98 * (values.length - 1))];
  return high > low ? [low, high] : [low, low + 1];
}
