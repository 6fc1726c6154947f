// @ts-check
/**
 * How many neurons have each concept at each step. Concepts are counted by word, because the steps of a run may
 * have different concept spaces, and only words that some neuron has had get a row.
 */
import { isLoaded, isUnknown, isValid, labelOf } from './layer.js';
import { categoryOf, wordOf } from './space.js';
import { counted, formatCount } from './format.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./history.js').SpaceAt} SpaceAt */
/** @typedef {import('./space.js').Category} Category */
/**
 * @typedef {object} Tally R rows, one for each word that some neuron has had. Never changed in place.
 * @property {Layer} layer what was counted
 * @property {string[]} words (R) in the order in which they were found
 * @property {Category[]} categories (R)
 * @property {Map<string, number>} rowOf row of a word
 * @property {(Uint32Array | null)[]} counts for each step, of the rows known when it was counted: those beyond are 0; null: not loaded yet
 * @property {Int32Array} first (R) index of the first counted step with the word, -1 for none
 * @property {number} counted steps that were counted
 */
/** @typedef {'word' | 'now' | 'change' | 'first' | `layer:${string}`} SortKey */
/** @typedef {{by: SortKey, down: boolean}} SortOrder */

/**
 * Count every loaded step; what was counted before is kept where it is still true, also for steps let go since.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {Tally | null} [before] @returns {Tally}
 */
export function tallyLayer(layer, spaceAt, before = null) {
  const old = before && before.layer.run === layer.run && before.layer.name === layer.name && before.layer.cut === layer.cut ? before : null;
  const words = old ? [...old.words] : [];
  const categories = old ? [...old.categories] : [];
  const rowOf = new Map(old?.rowOf);
  const known = new Map(old?.layer.steps.map((step, i) => [`${step} ${old.layer.wallTimes[i]}`, old.counts[i]]));
  /** @type {Map<string, Int32Array>} */
  const rowsBySpace = new Map();
  const counts = layer.steps.map((step, epoch) => {
    const kept = known.get(`${step} ${layer.wallTimes[epoch]}`);
    if (kept) return kept;
    const space = spaceAt(epoch);
    if (!isLoaded(layer, epoch) || !space) return null;
    let rows = rowsBySpace.get(space.fingerprint);
    if (!rows) rowsBySpace.set(space.fingerprint, (rows = new Int32Array(space.words.length).fill(-1)));
    const labels = new Int32Array(layer.neurons);
    for (let neuron = 0; neuron < layer.neurons; neuron++) {
      const concept = (labels[neuron] = labelOf(layer, epoch, neuron));
      if (concept < 0 || rows[concept] >= 0) continue;
      const word = wordOf(space, concept);
      let row = rowOf.get(word);
      if (row === undefined) {
        row = words.length;
        rowOf.set(word, row);
        words.push(word);
        categories.push(/** @type {Category} */ (categoryOf(space, concept)));
      }
      rows[concept] = row;
    }
    const perRow = new Uint32Array(words.length);
    for (const concept of labels) if (concept >= 0) perRow[rows[concept]]++;
    return perRow;
  });
  if (old && counts.length === old.counts.length && counts.every((count, epoch) => count === old.counts[epoch])) return old;
  return { layer, words, categories, rowOf, counts, first: firstSeen(counts, words.length), counted: counts.filter(Boolean).length };
}

/** Neurons by concept at a step. @param {Layer} layer @param {number} epoch @param {number} words @returns {Uint32Array} (words) */
export function countLabels(layer, epoch, words) {
  const counts = new Uint32Array(words);
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const concept = labelOf(layer, epoch, neuron);
    if (concept >= 0) counts[concept]++;
  }
  return counts;
}

/** @param {(Uint32Array | null)[]} counts @param {number} rows */
function firstSeen(counts, rows) {
  const first = new Int32Array(rows).fill(-1);
  for (let epoch = counts.length - 1; epoch >= 0; epoch--) {
    const now = counts[epoch];
    if (now) for (let row = 0; row < now.length; row++) if (now[row]) first[row] = epoch;
  }
  return first;
}

/** Neurons with a word at a step, NaN while that is not known. @param {Tally} tally @param {number} epoch @param {number} row */
export function countAt({ counts }, epoch, row) {
  const now = counts[epoch];
  return now ? (now[row] ?? 0) : NaN;
}

/** How many more neurons than at another step, NaN while that is not known. @param {Tally} tally @param {number} epoch @param {number} base @param {number} row */
export const changeAt = (tally, epoch, base, row) => countAt(tally, epoch, row) - countAt(tally, base, row);

/** Index of the last counted step at or before one at which some neuron had the word, else the first one after it; -1 for none. @param {Tally} tally @param {number} epoch @param {number} row */
export function lastSeen(tally, epoch, row) {
  const { counts, first } = tally;
  for (let at = epoch; at >= 0; at--) if (counts[at]?.[row]) return at;
  return first[row];
}

/**
 * Rows in the order of the table; among equals by name.
 * @param {Tally} tally @param {ArrayLike<number>} values (R) what to sort by; NaN last
 * @param {boolean} down largest first @param {(row: number) => boolean} keep
 * @returns {number[]}
 */
export function sortRows(tally, values, down, keep) {
  const rank = ranksByName(tally);
  const rows = [];
  for (let row = 0; row < tally.words.length; row++) if (keep(row)) rows.push(row);
  const sign = down ? -1 : 1;
  return rows.sort((a, b) => {
    const [left, right] = [values[a], values[b]];
    if (Number.isNaN(left) !== Number.isNaN(right)) return Number.isNaN(left) ? 1 : -1;
    return (left === right || Number.isNaN(left) ? 0 : sign * (left - right)) || rank[a] - rank[b];
  });
}

/** @type {WeakMap<string[], Int32Array>} */
const ranks = new WeakMap();
/** Place of every row's word in the alphabet. @param {Tally} tally @returns {Int32Array} (R) */
export function ranksByName({ words }) {
  let rank = ranks.get(words);
  if (!rank) {
    rank = new Int32Array(words.length);
    const lower = words.map((word) => word.toLowerCase());
    const order = words.map((_, row) => row).sort((a, b) => (lower[a] < lower[b] ? -1 : lower[a] > lower[b] ? 1 : a - b));
    for (let i = 0; i < order.length; i++) rank[order[i]] = i;
    ranks.set(words, rank);
  }
  return rank;
}

/** Neurons that have a word at a step. @param {Layer} layer @param {SpaceAt} spaceAt @param {number} epoch @param {string} word @returns {number[]} */
export function neuronsWith(layer, spaceAt, epoch, word) {
  const space = spaceAt(epoch);
  const wanted = space ? space.words.indexOf(word) : -1;
  const found = [];
  if (wanted >= 0) for (let neuron = 0; neuron < layer.neurons; neuron++) if (labelOf(layer, epoch, neuron) === wanted) found.push(neuron);
  return found;
}

/** Concepts told in the description of a mixed selection. */
const MOST_TOLD = 3;

/**
 * A set of neurons in words, after the thesis' Fig. 4.4: "dog – 15 neurons"; a mixed one by its commonest concepts.
 * @param {Layer} layer @param {SpaceAt} spaceAt @param {number} epoch @param {ReadonlySet<number>} neurons @returns {string}
 */
export function describeNeurons(layer, spaceAt, epoch, neurons) {
  const space = spaceAt(epoch);
  const all = counted(neurons.size, 'neuron');
  if (!space || !isLoaded(layer, epoch)) return all;
  /** @type {Map<string, number>} */
  const words = new Map();
  for (const neuron of neurons) {
    const concept = labelOf(layer, epoch, neuron);
    const word = concept >= 0 ? wordOf(space, concept) : isValid(layer, epoch, neuron) ? 'no concept' : isUnknown(layer, epoch, neuron) ? 'no known stimulus' : 'no signal';
    words.set(word, (words.get(word) ?? 0) + 1);
  }
  const told = [...words].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  if (told.length === 1) return `${told[0][0]} – ${all}`;
  const rest = told.length > MOST_TOLD ? ', …' : '';
  return `${all}: ${told.slice(0, MOST_TOLD).map(([word, count]) => `${formatCount(count)} ${word}`).join(', ')}${rest}`;
}

/** @typedef {'first' | 'previous' | number} Base the step that changes are counted from */

/** Index of the step that changes are counted from. @param {Base} base @param {number[]} steps @param {number} epoch the step shown */
export function baseEpoch(base, steps, epoch) {
  if (base === 'first') return 0;
  if (base === 'previous') return Math.max(0, epoch - 1);
  let nearest = 0;
  for (let i = 1; i < steps.length; i++) if (Math.abs(steps[i] - base) < Math.abs(steps[nearest] - base)) nearest = i;
  return nearest;
}

/**
 * A concept's counts over time as a closed path: flat between two steps would lie, so it is straight lines, with
 * gaps where a step is not there yet.
 * @param {Tally} tally @param {number} row @param {number[]} places of the steps on the axis @param {number} width @param {number} height
 * @returns {string} area of an SVG path, '' where nothing is known
 */
export function sparkPath(tally, row, places, width, height) {
  const most = tally.counts.reduce((max, counts) => Math.max(max, counts?.[row] ?? 0), 0);
  const span = places[places.length - 1] - places[0];
  if (!most) return '';
  const x = (/** @type {number} */ epoch) => (span ? (width * (places[epoch] - places[0])) / span : width / 2);
  const y = (/** @type {number} */ count) => height - (height * count) / most;
  let path = '';
  for (let epoch = 0; epoch < places.length; epoch++) {
    if (!tally.counts[epoch]) continue;
    const from = epoch;
    while (epoch + 1 < places.length && tally.counts[epoch + 1]) epoch++;
    // A step alone is a thin bar.
    const [left, right] = [x(from) - (from === epoch ? 0.6 : 0), x(epoch) + (from === epoch ? 0.6 : 0)];
    path += `M${left.toFixed(1)} ${height}`;
    if (from === epoch) path += `V${y(countAt(tally, from, row)).toFixed(1)}H${right.toFixed(1)}`;
    else for (let at = from; at <= epoch; at++) path += `L${x(at).toFixed(1)} ${y(countAt(tally, at, row)).toFixed(1)}`;
    path += `L${right.toFixed(1)} ${height}Z`;
  }
  return path;
}

/** Names of a column shortened to a few letters, at the front, where layers' names are alike. @param {string} name @param {number} length */
export const shortEnd = (name, length) => (name.length <= length ? name : `…${name.slice(1 - length)}`);
