// @ts-check
/** In which state the data are, in words: what is missing, left out, old, or hidden by the reader. */
import { counted, formatCount } from './format.js';

/** @typedef {import('../api.js').RunIndex} RunIndex */
/** @typedef {{run: string, layers: string[], steps: number, usable: boolean, hasLayer: boolean, reason: string}} RunRow */

/**
 * All runs of the log directory as the chooser lists them: usable ones first, the others with the reason why not.
 * @param {Record<string, RunIndex>} listed runs with concept data @param {string[]} others names of all runs that TensorBoard knows @param {string} layer the one shown
 * @returns {RunRow[]}
 */
export function runRows(listed, others, layer) {
  const rows = Object.entries(listed).map(([run, index]) => {
    const layers = Object.keys(index.layers);
    const steps = Math.max(0, ...Object.values(index.layers).map((one) => one.steps.length));
    const usable = layers.length > 0 && steps > 0;
    const hasLayer = layers.includes(layer);
    const reason = !usable ? unusable(index) : hasLayer || !layer ? '' : `no layer “${layer}”: has ${layers.join(', ')}`;
    return { run, layers, steps, usable, hasLayer, reason };
  });
  const rest = others.filter((run) => !(run in listed)).map((run) => ({ run, layers: [], steps: 0, usable: false, hasLayer: false, reason: 'logged no concepts' }));
  return [...rows.filter((row) => row.usable), ...rows.filter((row) => !row.usable), ...rest];
}

/** @param {RunIndex} index */
function unusable({ skipped }) {
  if (!skipped.length) return 'no step logged yet';
  return skipped.some(({ code }) => code === 'newer_schema') ? 'written by a newer version of Concept Monitor' : `${counted(skipped.length, 'record')} that cannot be read`;
}

/** Age in words: "40 s", "12 minutes", "3 h", "5 days". @param {number} seconds */
export function formatAge(seconds) {
  if (seconds < 90) return `${formatCount(Math.max(0, seconds))} s`;
  if (seconds < 90 * 60) return counted(Math.round(seconds / 60), 'minute');
  if (seconds < 36 * 3600) return `${formatCount(Math.round(seconds / 3600))} h`;
  return counted(Math.round(seconds / 86400), 'day');
}
