// @ts-check
/**
 * Counts of a layer at one step, from its frames: they follow the reader's threshold, which what was logged
 * cannot. Counting 2,048 neurons over 100 steps takes about a millisecond; what did not change is not counted
 * again.
 */

const INTERPRETABLE = 1;
const VALID = 2;

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./layer.js').Frame} Frame */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */
/** @typedef {import('./space.js').Space} Space */
/** @typedef {import('../api.js').Metrics} Metrics */
/** @typedef {Record<string, number>} CategoryCounts by category name */
/** @typedef {{neurons: number, interpretable: number, byCategory: CategoryCounts}} Counts neurons: all of the layer, with and without signal */
/** @typedef {Counts & {step: number}} CountsOfStep */

/** @type {WeakMap<Frame, {cut: number | null, space: Space | null, counts: Counts}>} */
const counted = new WeakMap();
/** @type {WeakMap<Frame, {cut: number | null, entropy: number}>} */
const measured = new WeakMap();

/**
 * Interpretable neurons at a step, in all and by category; the layer's own threshold holds.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} epoch
 * @returns {Counts | null} null while the step is not loaded
 */
export function countsAt(layer, spaceAt, epoch) {
  const frame = layer.frames[epoch];
  if (!frame) return null;
  const space = spaceAt(epoch);
  const known = counted.get(frame);
  if (known && known.cut === layer.cut && known.space === space) return known.counts;
  const counts = countFrame(frame, layer.cut, space);
  counted.set(frame, { cut: layer.cut, space, counts });
  return counts;
}

/** @param {Frame} frame @param {number | null} cut @param {Space | null} space @returns {Counts} */
export function countFrame(frame, cut, space) {
  const categories = space?.categories ?? [];
  const perCategory = new Float64Array(categories.length);
  let interpretable = 0;
  const { flags, similarity, concept } = frame;
  for (let neuron = 0; neuron < flags.length; neuron++) {
    if (!passes(flags[neuron], similarity[neuron], cut)) continue;
    interpretable++;
    if (space && concept[neuron] >= 0 && concept[neuron] < space.words.length) perCategory[space.categoryOfWord[concept[neuron]]]++;
  }
  return { neurons: flags.length, interpretable, byCategory: Object.fromEntries(categories.map(({ name }, i) => [name, perCategory[i]])) };
}

/** @param {number} flags @param {number} similarity @param {number | null} cut */
const passes = (flags, similarity, cut) => (flags & VALID) !== 0 && (cut === null ? (flags & INTERPRETABLE) !== 0 : similarity > cut);

/** What was logged, in the same form. @param {Metrics} entry @returns {CountsOfStep} */
export const loggedCounts = ({ step, neurons, interpretable, category_counts: byCategory }) => ({ step, neurons, interpretable, byCategory: byCategory ?? {} });

/**
 * Counts of every step: as logged, or counted anew where the reader set a threshold; then steps whose frames are
 * not there yet are null.
 * @param {{layer: Layer | null, metrics: Metrics[], spaceAt: SpaceAt}} source
 * @returns {(CountsOfStep | null)[]}
 */
export function countSeries({ layer, metrics, spaceAt }) {
  if (!layer || layer.cut === null) return metrics.map(loggedCounts);
  return layer.steps.map((step, epoch) => {
    const counts = countsAt(layer, spaceAt, epoch);
    return counts && { step, ...counts };
  });
}

/**
 * Shannon entropy in bits: 0 where all are of one kind, log2(n) where n kinds are equally frequent.
 * @param {Iterable<number>} counts @returns {number} NaN when there is nothing to count
 */
export function entropyOf(counts) {
  const all = [...counts].filter((count) => count > 0);
  const total = all.reduce((sum, count) => sum + count, 0);
  if (!total) return NaN;
  const bits = all.reduce((sum, count) => sum - (count / total) * Math.log2(count / total), 0);
  return Math.max(0, bits);
}

/**
 * Concept entropy of a layer at a step: how evenly its interpretable neurons are spread over concepts.
 * @param {Layer} layer @param {number} epoch
 * @returns {number} bits; NaN while the step is not loaded and where no neuron is interpretable
 */
export function entropyAt(layer, epoch) {
  const frame = layer.frames[epoch];
  if (!frame) return NaN;
  const known = measured.get(frame);
  if (known && known.cut === layer.cut) return known.entropy;
  const { flags, similarity, concept } = frame;
  /** @type {number[]} */
  const seen = [];
  for (let neuron = 0; neuron < flags.length; neuron++) {
    const id = concept[neuron];
    if (id < 0 || !passes(flags[neuron], similarity[neuron], layer.cut)) continue;
    if (id >= tally.length) tally = grown(tally, id);
    if (tally[id]++ === 0) seen.push(id);
  }
  const entropy = entropyOf(seen.map((id) => tally[id]));
  for (const id of seen) tally[id] = 0;
  measured.set(frame, { cut: layer.cut, entropy });
  return entropy;
}

/** Neurons of each concept, all 0 between two calls: a new list for each of hundreds of frames would cost more than counting. */
let tally = new Uint32Array(1024);
/** @param {Uint32Array<ArrayBuffer>} list @param {number} index that must fit */
function grown(list, index) {
  const larger = new Uint32Array(2 * index + 1);
  larger.set(list);
  return larger;
}

/** Percent of the layer's neurons, so that layers of different width compare. @param {number} count @param {number} neurons */
export const percentOf = (count, neurons) => (neurons > 0 ? (100 * count) / neurons : 0);
