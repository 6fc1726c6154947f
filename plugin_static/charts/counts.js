// @ts-check
/** How many neurons count as interpretable, for the charts: as logged, or by the reader's threshold. */
import { effect, signal } from '../lib.js';
import { emptyLayer, withFrames } from '../model/layer.js';
import { countSeries, countsAt, loggedCounts } from '../model/metrics.js';
import { keyOf as keyOfLayer } from '../model/run.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../model/layer.js').Layer} Layer */
/** @typedef {import('../model/metrics.js').Counts} Counts */
/** @typedef {{name: string, counts: Counts | null, state: 'known' | 'loading' | 'absent'}} LayerCounts */

/** Frames of layers that are not shown, for the bars of one step. */
const MOST_KEPT = 24;
/** They are fetched where the cursor rests, not for every step that flies by. */
const REST_MS = 150;

/** Counts of every step of a source. @param {Store} store @param {Source} source */
export const countsOf = (store, source) => (store.threshold.value === null
  ? source.metrics.value.map(loggedCounts)
  : countSeries({ layer: source.layer.value, metrics: source.metrics.value, spaceAt: source.spaceAt.value }));

/**
 * Counts of all layers of a run at the step under the cursor. Where the reader set a threshold, layers that are
 * not shown are counted from a frame of their own, fetched when the bars are looked at.
 * @param {Store} store @param {import('../api.js').Api} api @param {() => boolean} isLookedAt
 */
export function createLayerCounts(store, api, isLookedAt) {
  /** Layers with one frame each, null where there is none, by run, layer and step. */
  const fetched = signal(/** @type {ReadonlyMap<string, Layer | null>} */ (new Map()));
  const keyOf = (/** @type {string} */ run, /** @type {string} */ name, /** @type {number} */ step) => `${keyOfLayer({ run, layer: name })}\n${step}`;
  const shownAs = (/** @type {string} */ run, /** @type {string} */ name) => store.sources.value.find((source) => source.run === run && source.name === name);
  const stepsOf = (/** @type {string} */ run, /** @type {string} */ name) => store.index.value?.runs[run]?.layers[name]?.steps ?? [];

  const fetchOne = async (/** @type {string} */ run, /** @type {string} */ name, /** @type {number} */ step) => {
    const neurons = store.index.peek()?.runs[run]?.layers[name]?.neurons ?? 0;
    /** @type {Layer | null} */
    let layer = null;
    try {
      layer = withFrames(emptyLayer(run, name, { neurons, steps: [step], wall_times: [0] }), await api.layer(run, name, { from: step, to: step, part: 'frames' }));
    } catch {
      // The bar says that there is nothing; what is wrong with the data the loader tells.
    }
    fetched.value = new Map([...fetched.peek(), /** @type {[string, Layer | null]} */ ([keyOf(run, name, step), layer])].slice(-MOST_KEPT));
  };
  effect(() => {
    if (!isLookedAt() || store.threshold.value === null || store.playing.value) return undefined;
    const { run } = store.first.value;
    const step = store.step.value;
    const missing = store.layerNames.value.filter((name) => !shownAs(run, name) && stepsOf(run, name).includes(step) && !fetched.value.has(keyOf(run, name, step)));
    if (!missing.length) return undefined;
    const timer = setTimeout(() => missing.forEach((name) => { fetchOne(run, name, step); }), REST_MS);
    return () => clearTimeout(timer);
  });

  /** @returns {LayerCounts[]} in the order of the run */
  return () => {
    const { run, data } = store.first.value;
    const step = store.step.value;
    return store.layerNames.value.map((name) => {
      if (store.threshold.value === null) {
        const entry = (data.value.timeline[name] ?? []).find((one) => one.step === step);
        return { name, counts: entry ? loggedCounts(entry) : null, state: entry ? 'known' : 'absent' };
      }
      const source = shownAs(run, name);
      const shown = source?.layer.value;
      const index = shown ? shown.steps.indexOf(step) : -1;
      if (source && shown && index >= 0) return known(name, countsAt(shown, source.spaceAt.value, index));
      const one = fetched.value.get(keyOf(run, name, step));
      if (one) return known(name, countsAt({ ...one, cut: store.threshold.value }, () => data.value.spaces[one.spaces[0]] ?? null, 0));
      return { name, counts: null, state: one === null || !stepsOf(run, name).includes(step) ? 'absent' : 'loading' };
    });
  };
}

/** @param {string} name @param {Counts | null} counts @returns {LayerCounts} */
const known = (name, counts) => ({ name, counts, state: counts ? 'known' : 'loading' });
