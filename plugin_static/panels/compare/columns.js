// @ts-check
/** The shown runs and layers as columns of the comparison, and whether they share a concept space. */
import { countWords, spaceDifference } from '../../model/compare.js';
import { holdingAt } from '../../model/alerts.js';
import { judgeHealth } from '../../model/health.js';
import { nameOf } from '../../map/names.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../source.js').Source} Source */
/** @typedef {import('../../model/compare.js').Column} Column */

/** Fingerprint of the concept space of the step that is shown, '' until it is known. @param {Source} source */
export const fingerprintOf = (source) => source.layer.value?.spaces[source.epoch.value] || source.metricsNow.value?.space || '';

/** A source at its step as a column; null while its step is being fetched. @param {Store} store @param {Source} source @returns {Column | null} */
export function columnOf(store, source) {
  const layer = source.layer.value;
  const space = source.space.value;
  const summary = source.summary.value;
  const metrics = source.metricsNow.value;
  if (!layer || !space || !summary) return null;
  return {
    name: nameOf(store, source), layer: source.name, step: source.step.value, space: space.fingerprint, neurons: layer.neurons,
    interpretable: summary.interpretable, categories: summary.counts, words: countWords(layer, space, source.epoch.value),
    // What is logged over interpretable neurons holds for the logged threshold alone.
    dAnchor: metrics?.d_anchor ?? null, gated: layer.cut === null ? (metrics?.d_anchor_gated ?? null) : null,
    pairwise: metrics?.mean_pairwise_distance ?? null, displacement: metrics?.mean_displacement ?? null, dead: metrics?.dead ?? null, detector: metrics?.detector ?? '',
  };
}

/** The rule of thumb for a source. @param {Store} store @param {Source} source */
export function healthOf(store, source) {
  const layers = Object.keys(store.index.value?.runs[source.run]?.layers ?? {});
  const deepest = layers[layers.length - 1] ?? source.name;
  return judgeHealth(source.metrics.value, source.step.value, { layer: source.name, isDeepest: source.name === deepest, deepest, isMoved: store.threshold.value !== null, alerts: holdingAt(source.data.value.alerts.alerts, source.name, source.step.value) });
}

/** Whether a source has another concept space than the first one shown, as far as both are known. @param {Store} store @param {Source} source */
export function isStranger(store, source) {
  const [own, theirs] = [fingerprintOf(store.first.value), fingerprintOf(source)];
  return own !== '' && theirs !== '' && own !== theirs;
}

/** Those shown that have another concept space than the first, with what differs. @param {Store} store @returns {{source: Source, differences: import('../../model/compare.js').Difference[]}[]} */
export function strangers(store) {
  return store.others.value.flatMap((source) => {
    if (!isStranger(store, source)) return [];
    const [a, b] = [store.first.value.space.value, source.space.value];
    return [{ source, differences: a && b ? spaceDifference(a, b) : [] }];
  });
}
