// @ts-check
/** What a neuron has been over time, what a layer is at one step, and which neurons are worth watching. */
import { conceptOf, isInterpretable, isLoaded, isUnknown, isValid, labelOf, placeOf, similarityOf } from './layer.js';
import { categoryOf, wordOf } from './space.js';
import { counted, formatCount } from './format.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./space.js').Space} Space */
/** @typedef {(epoch: number) => Space | null} SpaceAt the concept space of a step, null while loading */
/** @typedef {{from: number, to: number, concept: number, word: string, slot: number}} Stretch step indices, both ends included */

/**
 * The neuron's life as stretches of one concept each; stretches without a concept have concept -1.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} neuron
 * @returns {Stretch[]}
 */
export function labelHistory(layer, spaceAt, neuron) {
  /** @type {Stretch[]} */
  const stretches = [];
  for (let epoch = 0; epoch < layer.steps.length; epoch++) {
    const space = spaceAt(epoch);
    const concept = space ? labelOf(layer, epoch, neuron) : -1;
    const word = space && concept >= 0 ? wordOf(space, concept) : '';
    const last = stretches[stretches.length - 1];
    if (last && last.word === word) last.to = epoch;
    else stretches.push({ from: epoch, to: epoch, concept, word, slot: (space && categoryOf(space, concept)?.slot) ?? -1 });
  }
  return stretches;
}

/**
 * @typedef {object} EpochSummary
 * @property {number} interpretable
 * @property {number} valid
 * @property {number} invalid dead, constant, not finite or unknown
 * @property {number} unknown those with a signal, of which the space knows no stimulus
 * @property {Map<string, number>} counts interpretable neurons by category name, zeros included
 * @property {number} uninterpretable valid neurons without a concept
 * @property {number} changed neurons whose concept differs from the step before, 0 at the first
 * @property {{word: string, count: number} | null} commonest
 */

/** @param {Layer} layer @param {SpaceAt} spaceAt @param {number} epoch @returns {EpochSummary} */
export function summariseEpoch(layer, spaceAt, epoch) {
  const space = spaceAt(epoch);
  const comparable = epoch > 0 && isLoaded(layer, epoch - 1) && layer.spaces[epoch] === layer.spaces[epoch - 1];
  /** @type {Map<string, number>} */
  const counts = new Map((space?.categories ?? []).map((category) => [category.name, 0]));
  /** @type {Map<number, number>} */
  const words = new Map();
  let interpretable = 0;
  let valid = 0;
  let unknown = 0;
  let changed = 0;
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (isValid(layer, epoch, neuron)) valid++;
    if (isUnknown(layer, epoch, neuron)) unknown++;
    if (comparable && labelOf(layer, epoch, neuron) !== labelOf(layer, epoch - 1, neuron)) changed++;
    if (!isInterpretable(layer, epoch, neuron)) continue;
    interpretable++;
    const concept = conceptOf(layer, epoch, neuron);
    words.set(concept, (words.get(concept) ?? 0) + 1);
    const category = space && categoryOf(space, concept);
    if (category) counts.set(category.name, (counts.get(category.name) ?? 0) + 1);
  }
  let top = /** @type {[number, number] | null} */ (null);
  for (const entry of words) if (!top || entry[1] > top[1] || (entry[1] === top[1] && entry[0] < top[0])) top = entry;
  const commonest = top && space ? { word: wordOf(space, top[0]), count: top[1] } : null;
  return { interpretable, valid, invalid: layer.neurons - valid, unknown, counts, uninterpretable: valid - interpretable, changed, commonest };
}

/** The same in words. @param {EpochSummary} summary @param {number} neurons @param {number | null} previous the step before, null to leave changes out @param {string} [invalid] see `describeInvalid` */
export function describeEpoch(summary, neurons, previous, invalid = '') {
  const parts = [`${formatCount(summary.interpretable)} of ${formatCount(neurons)} neurons interpretable`];
  if (invalid) parts.push(invalid);
  if (summary.commonest && summary.commonest.count > 1) {
    parts.push(`most often “${summary.commonest.word}” (${formatCount(summary.commonest.count)})`);
  }
  if (previous !== null) parts.push(`${formatCount(summary.changed)} changed since step ${formatCount(previous)}`);
  return parts.join('\u00a0· ');
}

/** Neurons times steps. */
const MAX_LOOKED_AT = 400000;

/**
 * Neurons worth watching when nobody chose any: those with the richest history that ends in a concept,
 * at most two to a category so that they do not tell one story.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} count
 * @returns {number[]} richest first
 */
export function suggestTracked(layer, spaceAt, count) {
  const last = layer.steps.length - 1;
  if (last < 0) return [];
  const scored = [];
  // Of very many neurons a sample is enough to find a few worth watching.
  const stride = Math.ceil((layer.neurons * layer.steps.length) / MAX_LOOKED_AT);
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (neuron % stride || !isInterpretable(layer, last, neuron)) continue;
    const named = labelHistory(layer, spaceAt, neuron).filter((stretch) => stretch.concept >= 0);
    const slots = new Set(named.map((stretch) => stretch.slot)).size;
    const [x0, y0] = placeOf(layer, neuron, 0);
    const [x1, y1] = placeOf(layer, neuron, last);
    // Few, different concepts tell more than many flickering ones.
    const score = slots * 2 - Math.max(0, named.length - slots) * 0.5 + Math.hypot(x1 - x0, y1 - y0) * 1e-3 + similarityOf(layer, last, neuron) * 1e-3;
    scored.push({ neuron, score, slot: named[named.length - 1]?.slot ?? -1, concept: conceptOf(layer, last, neuron) });
  }
  scored.sort((a, b) => b.score - a.score || a.neuron - b.neuron);
  /** @type {Map<number, number>} */
  const perSlot = new Map();
  const concepts = new Set();
  const chosen = [];
  for (const { neuron, slot, concept } of scored) {
    if (chosen.length >= count) break;
    if (concepts.has(concept) || (perSlot.get(slot) ?? 0) >= 2) continue;
    concepts.add(concept);
    perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
    chosen.push(neuron);
  }
  return chosen;
}

/** How neurons that are left out of the map are named, '' when there are none. @param {import('../api.js').Metrics | undefined} metrics @param {{invalid: number, unknown: number} | null | undefined} summary */
export function describeInvalid(metrics, summary) {
  const { invalid, unknown } = summary ?? { invalid: 0, unknown: 0 };
  if (!invalid) return '';
  const parts = [];
  if (metrics?.dead) parts.push(`${formatCount(metrics.dead)} dead`);
  if (metrics?.constant) parts.push(`${formatCount(metrics.constant)} constant`);
  if (metrics?.nonfinite) parts.push(`${formatCount(metrics.nonfinite)} not finite`);
  if (!metrics && invalid > unknown) parts.push(`${formatCount(invalid - unknown)} without signal`);
  if (unknown) parts.push(`${formatCount(unknown)} without known stimulus`);
  return parts.join(', ') || counted(invalid, 'invalid neuron');
}
