// @ts-check
/** The figure for print (Concept-Monitor, thesis Fig. 2.1) before it is drawn: its steps, its bars, its grids. */
import { isInterpretable, conceptOf } from './layer.js';
import { categoryOf } from './space.js';
import { nearestIndex } from './steps.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {import('./space.js').Category} Category */
/** @typedef {{layer: string, neurons: number, interpretable: number, parts: {category: Category, count: number}[]}} Bar parts from the bottom up */

/** Rows of the figure: more do not fit on a page. */
export const MAX_ROWS = 5;
/** Neurons followed in it. */
export const MAX_NEURONS = 6;
/** Layers whose bars stand side by side. */
export const MAX_LAYERS = 5;

/**
 * The steps of its rows: those that the reader chose, else the first, one after a quarter, the middle and the last.
 * @param {number[]} steps @param {number[] | null} chosen @returns {number[]} indices, ascending
 */
export function figureEpochs(steps, chosen) {
  const last = steps.length - 1;
  const wanted = chosen?.length ? chosen.map((step) => nearestIndex(steps, step)) : [0, Math.round(last / 4), Math.round(last / 2), last];
  return [...new Set(wanted)].filter((index) => index >= 0 && index <= last).sort((a, b) => a - b).slice(0, MAX_ROWS);
}

/** Layers beside the one that is shown, in their order, the shown one always among them. @param {string[]} names @param {string} shown */
export function figureLayers(names, shown) {
  const at = Math.max(0, names.indexOf(shown));
  const from = Math.max(0, Math.min(at - Math.floor(MAX_LAYERS / 2), names.length - MAX_LAYERS));
  return names.slice(from, from + MAX_LAYERS);
}

/** The bar of a layer as its metrics were logged. @param {string} layer @param {import('../api.js').Metrics} metrics @param {Category[]} categories @returns {Bar} */
export const loggedBar = (layer, metrics, categories) => ({
  layer, neurons: metrics.neurons, interpretable: metrics.interpretable,
  parts: categories.map((category) => ({ category, count: metrics.category_counts?.[category.name] ?? 0 })).filter(({ count }) => count > 0),
});

/** The bar of a layer counted anew, with the reader's threshold. @param {Layer} layer @param {number} epoch @param {import('./space.js').Space} space @returns {Bar} */
export function countedBar(layer, epoch, space) {
  /** @type {Map<Category | null, number>} */
  const counts = new Map();
  let interpretable = 0;
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (!isInterpretable(layer, epoch, neuron)) continue;
    interpretable++;
    const category = categoryOf(space, conceptOf(layer, epoch, neuron));
    counts.set(category, (counts.get(category) ?? 0) + 1);
  }
  return { layer: layer.name, neurons: layer.neurons, interpretable, parts: space.categories.map((category) => ({ category, count: counts.get(category) ?? 0 })).filter(({ count }) => count > 0) };
}

/** A round top for shares: the next ten percent over the largest. @param {Bar[]} bars */
export const topShare = (bars) => Math.max(0.1, Math.min(1, Math.ceil(10 * Math.max(0, ...bars.map(({ interpretable, neurons }) => interpretable / Math.max(1, neurons))) - 1e-9) / 10));

/** Columns in which so many squares become as large as they can. @param {number} count @param {number} width px @param {number} height px @param {number} gap px @returns {{columns: number, size: number}} */
export function squareGrid(count, width, height, gap) {
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const size = Math.min((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows);
    if (size > best.size) best = { columns, size };
  }
  return best;
}
