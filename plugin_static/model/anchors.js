// @ts-check
/**
 * How far words are from the neuron nearest to them, over the steps: what the network has learned of a word, and
 * d_anchor (thesis Eq. 2.2) of any set of anchors as the mean of these distances.
 */

/** @typedef {{steps: number[], distance: (number | null)[], neuron: (number | null)[]}} Series of one word; null where nothing counts */
/** @typedef {{word: string, slot: number, kind: 'anchor' | 'concept' | 'typed', distance: number, neuron: number, series: Series | null}} Nearness of one word at one step; NaN and -1 where not known */

/** @param {Series | null | undefined} series @param {number} step @returns {{distance: number, neuron: number}} NaN and -1 where not known */
export function nearnessAt(series, step) {
  const at = series ? series.steps.indexOf(step) : -1;
  return { distance: (at >= 0 ? series?.distance[at] : null) ?? NaN, neuron: (at >= 0 ? series?.neuron[at] : null) ?? -1 };
}

/**
 * d_anchor of a set of words at every step: the mean over the words of the distance to the nearest neuron. A step
 * at which one of them is not known is left out: a mean over fewer words is another number.
 * @param {Series[]} all @returns {{step: number, value: number}[]} ascending
 */
export function meanDistance(all) {
  if (!all.length) return [];
  return all[0].steps.flatMap((step) => {
    const values = all.map((series) => nearnessAt(series, step).distance);
    return values.some(Number.isNaN) ? [] : [{ step, value: values.reduce((a, b) => a + b, 0) / values.length }];
  }).sort((a, b) => a.step - b.step);
}

/**
 * The logged distances of an anchor, which need no request.
 * @param {import('../api.js').Metrics[]} metrics of a layer @param {(step: number) => string[]} anchorsAt anchors of a step's concept space @param {string} word
 * @returns {Series | null} null where a step was logged without it
 */
export function loggedSeries(metrics, anchorsAt, word) {
  /** @type {Series} */
  const series = { steps: [], distance: [], neuron: [] };
  for (const { step, anchors } of metrics) {
    const at = anchorsAt(step).indexOf(word);
    if (!anchors || at < 0 || at >= anchors.nearest_distance.length) return null;
    series.steps.push(step);
    series.distance.push(anchors.nearest_distance[at]);
    const neuron = anchors.nearest_neuron[at];
    series.neuron.push(neuron >= 0 ? neuron : null);
  }
  return series.steps.length ? series : null;
}

/** Farthest first, or nearest first; unknown ones last. @param {Nearness[]} all @param {boolean} farthest @returns {number[]} indices */
export function rankByDistance(all, farthest) {
  const sign = farthest ? -1 : 1;
  return all.map((_, i) => i).sort((a, b) => {
    const [left, right] = [all[a].distance, all[b].distance];
    if (Number.isNaN(left) !== Number.isNaN(right)) return Number.isNaN(left) ? 1 : -1;
    return (Number.isNaN(left) || left === right ? 0 : sign * (left - right)) || (all[a].word < all[b].word ? -1 : 1);
  });
}

/**
 * A word's distance over time as a line; all words on one scale, so that they can be compared.
 * @param {Series} series @param {(step: number) => number} x @param {number} most @param {number} height @returns {string}
 */
export function distancePath({ steps, distance }, x, most, height) {
  let path = '';
  let isOpen = false;
  steps.forEach((step, i) => {
    const value = distance[i];
    if (value === null) { isOpen = false; return; }
    path += `${isOpen ? 'L' : 'M'}${x(step).toFixed(1)} ${(height - (height * value) / (most || 1)).toFixed(1)}`;
    isOpen = true;
  });
  return path;
}

/** The list with a word added at the end, unless it is there. @param {string[]} words @param {string} word */
export const withAnchor = (words, word) => (words.some((other) => sameWord(other, word)) ? words : [...words, word]);
/** @param {string} a @param {string} b */
export const sameWord = (a, b) => a.trim().toLowerCase() === b.trim().toLowerCase();
/** The words, or null where they are the logged ones, so that a link does not list them. @param {string[]} words @param {string[]} logged */
export const orLogged = (words, logged) => (words.length === logged.length && words.every((word, i) => word === logged[i]) ? null : words);

/** How the space spells a word; null where it has it neither as anchor nor as concept. @param {import('./space.js').Space} space @param {string} word */
export const spelling = (space, word) => space.anchors.find((one) => sameWord(one, word)) ?? space.words.find((one) => sameWord(one, word)) ?? null;

/** Seconds before a word whose place is being computed is asked for again: soon at first, seldom later. @param {number} asked how often it was asked for @returns {number} */
export const secondsToWait = (asked) => Math.min(8, 0.6 * 1.5 ** asked);

/** Words that begin with, or hold, what is being typed, for a few suggestions. @param {string[]} words @param {string} text @param {number} most @returns {string[]} */
export function suggestWords(words, text, most) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const starts = [];
  const holds = [];
  for (const word of words) {
    const at = word.toLowerCase().indexOf(wanted);
    if (at === 0) starts.push(word);
    else if (at > 0 && holds.length < most) holds.push(word);
    if (starts.length >= most) break;
  }
  return [...starts, ...holds].slice(0, most);
}
