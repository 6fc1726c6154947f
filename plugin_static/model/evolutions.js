// @ts-check
/**
 * Which evolutions of neurons between two steps matter to a class (ConceptEvo, dissertation section 7.2.3): what of the
 * log is shown, each neuron before and after, and the rows of the exported table.
 */
import { formatNumber } from './format.js';
import { detailFromEntry, labelFromEntry } from './neurons.js';

/** @typedef {import('./neurons.js').HistoryEntry} HistoryEntry */
/** @typedef {import('./neurons.js').SlotOf} SlotOf */
/** @typedef {{from: number, to: number, wall_time: number}} Pair two steps with a table */
/** @typedef {{pairs: Pair[], left_out: number}} PairsAnswer by the later step */
/** @typedef {{from: number, to: number, classes: {name: string, images: number}[], layers: {name: string, neurons: number}[], left_out: number}} TableAnswer */
/** @typedef {'most' | 'least'} Order which end of the ranking comes first */
/**
 * @typedef {object} Evolution
 * @property {number} rank 1 for the most important
 * @property {string} layer
 * @property {number} neuron
 * @property {number} score share of the class's images whose logit rises along it, 0 to 1
 * @property {number} positive their number
 * @property {number | null} sensitivity by how much the logit rises on average
 * @property {HistoryEntry | null} before null where the run did not log the neuron at that step
 * @property {HistoryEntry | null} after
 */
/** @typedef {{from: number, to: number, class: string, images: number, layer: string | null, order: Order, total: number, unranked: number, evolutions: Evolution[]}} RankingAnswer */
/** @typedef {{run: string, from: number, to: number, class: string, layer: string | null, order: Order}} Ranking what is asked for */
/** @typedef {{label: import('./neurons.js').Label, images: import('./neurons.js').TopImage[]}} Moment a neuron at one of the two steps */

/** How many evolutions are listed: at first, and at most by the route. */
export const FEW = 20;
export const MOST = 200;

/** The pair that the reader chose, or the newest where there is no such table (any more). @param {Pair[]} pairs @param {[number, number] | null} chosen @returns {Pair | null} */
export const pairShown = (pairs, chosen) => pairs.find(({ from, to }) => chosen !== null && from === chosen[0] && to === chosen[1]) ?? pairs[pairs.length - 1] ?? null;

/** The class that the reader chose, or the first of the table. Of a long table some are not listed and can be asked for. @param {TableAnswer} table @param {string | null} chosen @returns {string | null} */
export const classShown = ({ classes, left_out: leftOut }, chosen) => (chosen !== null && (leftOut > 0 || classes.some(({ name }) => name === chosen)) ? chosen : (classes[0]?.name ?? null));

/** The layer that the reader chose, null for all together. @param {TableAnswer} table @param {string | null} chosen @returns {string | null} */
export const layerShown = ({ layers, left_out: leftOut }, chosen) => (chosen !== null && (leftOut > 0 || layers.some(({ name }) => name === chosen)) ? chosen : null);

/** A neuron at one of the two steps. @param {HistoryEntry | null} entry @param {number | null} cut the reader's threshold @param {SlotOf} slotOf @returns {Moment | null} */
export const momentOf = (entry, cut, slotOf) => (entry ? { label: labelFromEntry(entry, cut, slotOf), images: detailFromEntry(entry, slotOf)?.images ?? [] } : null);

/** Whether a neuron means something else after than before. @param {Moment | null} before @param {Moment | null} after */
export function isChanged(before, after) {
  const word = (/** @type {Moment | null} */ moment) => (moment?.label.interpretable ? moment.label.word : '');
  return before !== null && after !== null && word(before) !== word(after);
}

/** A number with its sign, also where it is positive: "+0.42". @param {number | null} value */
export const signed = (value) => (value !== null && value > 0 ? `+${formatNumber(value)}` : formatNumber(value).replace('-', '\u2212'));

/**
 * One row for each evolution, as the log tells them.
 * @param {string} run @param {RankingAnswer} ranking @returns {import('./table.js').Row[]}
 */
export function evolutionRows(run, { from, to, class: name, images, evolutions }) {
  const told = (/** @type {string} */ when, /** @type {HistoryEntry | null} */ entry) => ({
    [`${when}_interpretable`]: entry?.interpretable ?? null, [`${when}_word`]: entry?.word ?? null, [`${when}_category`]: entry?.category ?? null, [`${when}_similarity`]: entry?.similarity ?? null,
  });
  return evolutions.map(({ rank, layer, neuron, score, positive, sensitivity, before, after }) => ({
    run, from_step: from, to_step: to, class: name, rank, layer, neuron, score, positive, images, sensitivity, ...told('before', before), ...told('after', after),
  }));
}
