// @ts-check
/**
 * The table of neurons as rows, CSV and JSON: the columns of the route `export`, and the threshold in use. Made in
 * the tab, because only here the reader's threshold, filters and selection are known.
 */
import { changeAt, countAt, sortRows } from './concepts.js';
import { displacementOf, isInterpretable, isUnknown, isValid } from './layer.js';
import { categoryOf, wordOf } from './space.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {string | number | boolean | null} Cell */
/** @typedef {Record<string, Cell>} Row */

/** What a spreadsheet takes for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/**
 * One row for each neuron at one step, as the route `export` gives them.
 * @param {Layer} layer with the details of the step, where more than the best concept is to be told
 * @param {import('./space.js').Space} space of the step @param {number} epoch @param {number | null} threshold in use, null where unknown
 * @param {(neuron: number) => boolean} [wanted] all by default @returns {Row[]}
 */
export function neuronRows(layer, space, epoch, threshold, wanted = () => true) {
  const frame = layer.frames[epoch];
  if (!frame) return [];
  const detail = layer.details[epoch];
  const concepts = detail?.concept ?? frame.concept;
  const similarities = detail?.similarity ?? frame.similarity;
  const width = detail ? layer.topK : 1;
  /** @type {Row[]} */
  const rows = [];
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (!wanted(neuron)) continue;
    /** @type {Row} */
    const row = { run: layer.run, layer: layer.name, step: layer.steps[epoch], neuron, valid: isValid(layer, epoch, neuron), unknown: isUnknown(layer, epoch, neuron), interpretable: isInterpretable(layer, epoch, neuron) };
    const label = (/** @type {number} */ rank) => {
      const concept = concepts[neuron * width + rank];
      return { concept, word: wordOf(space, concept), similarity: concept >= 0 ? shortest(similarities[neuron * width + rank]) : null };
    };
    const best = label(0);
    Object.assign(row, { word: best.word, category: categoryOf(space, best.concept)?.name ?? '', similarity: best.similarity, displacement: shortest(displacementOf(layer, epoch, neuron)), threshold: shortest(threshold) });
    for (let rank = 1; rank < width; rank++) {
      const { word, similarity } = label(rank);
      row[`word_${rank + 1}`] = word;
      row[`similarity_${rank + 1}`] = similarity;
    }
    row.x = shortest(frame.position[2 * neuron]);
    row.y = shortest(frame.position[2 * neuron + 1]);
    rows.push(row);
  }
  return rows;
}

/**
 * One row for each concept that some neuron of the layer has had: how many have it now, the change, when it was first seen.
 * @param {import('./concepts.js').Tally} tally @param {number} epoch now @param {number} base index of the step that changes are counted from
 * @param {(row: number) => boolean} keep which rows of the tally @returns {Row[]} commonest first
 */
export function conceptRows(tally, epoch, base, keep) {
  const { layer } = tally;
  const now = Float64Array.from(tally.words, (_, row) => countAt(tally, epoch, row));
  return sortRows(tally, now, true, keep).map((row) => ({
    run: layer.run, layer: layer.name, step: layer.steps[epoch], concept: tally.words[row], category: tally.categories[row].name, neurons: now[row],
    since_step: layer.steps[base], change: changeAt(tally, epoch, base, row), first_step: layer.steps[tally.first[row]] ?? null,
  }));
}

/** A 32-bit number in its shortest spelling, null for none. @param {number | null | undefined} value @returns {number | null} */
export function shortest(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  const exact = Math.fround(value);
  for (let digits = 1; digits <= 9; digits++) {
    const rounded = Number(exact.toPrecision(digits));
    if (Math.fround(rounded) === exact) return rounded;
  }
  return exact;
}

/** Rows as CSV (RFC 4180) with a header line; unknown values are empty. @param {Row[]} rows they may have different columns @returns {string} */
export function toCsv(rows) {
  const columns = columnsOf(rows);
  return `${[columns, ...rows.map((row) => columns.map((name) => row[name] ?? null))].map((cells) => cells.map(csvCell).join(',')).join('\n')}\n`;
}

/**
 * One field. Text of a log that a spreadsheet would run as a formula gets an apostrophe before it; a number never begins one.
 * @param {Cell} value @returns {string}
 */
export function csvCell(value) {
  if (value === null) return '';
  if (typeof value !== 'string') return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as JSON with what they are. @param {Row[]} rows @param {Record<string, unknown>} about @param {string} [name] of the rows @returns {string} */
export const toJson = (rows, about, name = 'neurons') => `${JSON.stringify({ ...about, columns: columnsOf(rows), [name]: rows }, null, 1)}\n`;

/** All columns in the order in which they are met, places last. @param {Row[]} rows */
function columnsOf(rows) {
  const names = new Set();
  let seen = -1;
  for (const row of rows) {
    const count = Object.keys(row).length;
    // Rows of one layer have the same columns: looking at each of 100,000 would be slow.
    if (count === seen) continue;
    seen = count;
    for (const name of Object.keys(row)) if (name !== 'x' && name !== 'y') names.add(name);
  }
  return /** @type {string[]} */ ([...names, ...(rows.length && 'x' in rows[0] ? ['x', 'y'] : [])]);
}

/** A file name that says run, layer and step, safe on every system. @param {string[]} parts @param {string} extension */
export function fileName(parts, extension) {
  const stem = parts.map((part) => part.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[-.]+|[-.]+$/g, '')).filter(Boolean).join('_');
  return `${[...stem].slice(0, 120).join('') || 'concepts'}.${extension}`;
}
