// @ts-check
/** What an animation shows: the shown sources again, with chosen steps of the range alone, fully loaded, and with a cursor of their own. */
import { signal, untracked } from '../lib.js';
import { indexOfPlace, placeOfIndex } from '../model/axis.js';
import { paintLayer } from '../model/paint.js';
import { chooseSteps, thinned } from '../model/record.js';
import { clamp } from '../model/steps.js';
import { gatherFrames, gatherSpace, layerOf } from './gather.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../lib.js').Signal<number>} Cursor */
/** @typedef {{sources: Source[], steps: number, left: number, seek: (cursor: number) => void}} Movie steps: of the leading source; left: how many of its range are left out */

/**
 * @param {Store} store @param {import('../api.js').Api} api @param {[number, number]} range indices of the leading source's first and last step
 * @param {{signal: AbortSignal, progress: (share: number) => Promise<void>}} work
 * @returns {Promise<Movie>}
 */
export async function gatherMovie(store, api, range, { signal: stop, progress }) {
  const shown = store.sources.peek();
  const neurons = shown.reduce((total, source) => total + layerOf(source).neurons, 0);
  const ends = range.map((index) => placeOfIndex(shown[0].places.peek(), index));
  /** @type {{source: Source, cursor: Cursor}[]} */
  const actors = [];
  for (const [i, source] of shown.entries()) {
    const places = source.places.peek();
    const [from, to] = i === 0 ? range : ends.map((place) => clamp(Math.round(indexOfPlace(places, place)), 0, Math.max(0, places.length - 1)));
    const epochs = chooseSteps(from, to, neurons);
    const layer = await gatherFrames(source, api, epochs, { signal: stop, progress: (share) => progress((i + share) / shown.length) });
    actors.push(await actor(store, source, api, layer, epochs));
  }
  const [lead] = actors;
  const seek = (/** @type {number} */ cursor) => {
    for (const { source, cursor: own } of actors) {
      const last = Math.max(0, source.steps.peek().length - 1);
      own.value = clamp(source === lead.source ? cursor : indexOfPlace(source.places.peek(), placeOfIndex(lead.source.places.peek(), cursor)), 0, last);
    }
  };
  seek(0);
  const steps = lead.source.steps.peek().length;
  return { sources: actors.map(({ source }) => source), steps, left: range[1] - range[0] + 1 - steps, seek };
}

/** @param {Store} store @param {Source} source @param {import('../api.js').Api} api @param {import('../model/layer.js').Layer} whole @param {number[]} epochs @returns {Promise<{source: Source, cursor: Cursor}>} */
async function actor(store, source, api, whole, epochs) {
  const layer = thinned(whole, epochs);
  /** @type {Map<string, import('../model/space.js').Space>} */
  const spaces = new Map();
  for (const [i, fingerprint] of layer.spaces.entries()) if (!spaces.has(fingerprint)) spaces.set(fingerprint, await gatherSpace(source, api, whole, epochs[i]));
  const spaceAt = (/** @type {number} */ epoch) => spaces.get(layer.spaces[epoch]) ?? null;
  const paint = untracked(() => paintLayer(layer, spaceAt, {
    colorBy: store.colorBy.value, hidden: store.hidden.value, concept: store.concept.value, sizeBySimilarity: store.sizeBySimilarity.value, selection: source.selection.value,
  }));
  const cursor = /** @type {Cursor} */ (signal(0));
  const epoch = { get value() { return Math.round(cursor.value); }, peek: () => Math.round(cursor.peek()) };
  const space = { get value() { return spaceAt(epoch.value); }, peek: () => spaceAt(epoch.peek()) };
  const places = epochs.map((index) => source.places.peek()[index]);
  return { cursor, source: /** @type {Source} */ (/** @type {unknown} */ ({
    ...source, layer: signal(layer), steps: signal(layer.steps), wallTimes: signal(layer.wallTimes), places: signal(places), cursor, epoch, space, spaceAt: signal(spaceAt), paint: signal(paint),
  })) };
}
