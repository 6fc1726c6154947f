// @ts-check
/** Fetches what a file needs and the views have not loaded, or have let go: frames and details of chosen steps. */
import { withDetails, withFrames } from '../model/layer.js';
import { spaceFromContainer } from '../model/space.js';

/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../api.js').Api} Api */
/** @typedef {import('../model/layer.js').Layer} Layer */
/** @typedef {import('../model/space.js').Space} Space */

/** @param {Source} source @returns {Layer} @throws {Error} where nothing is listed yet */
export function layerOf(source) {
  const layer = source.layer.peek();
  if (!layer || !layer.steps.length) throw new Error(`Nothing is logged of layer “${source.name}” of run “${source.run}” yet`);
  return layer;
}

/**
 * The layer with one step's frame and details.
 * @param {Source} source @param {Api} api @param {number} epoch @param {AbortSignal} signal
 */
export async function gatherStep(source, api, epoch, signal) {
  let layer = await gatherFrames(source, api, [epoch], { signal });
  if (!layer.details[epoch]) {
    const step = layer.steps[epoch];
    layer = withDetails(layer, await api.layer(source.run, source.name, { from: step, to: step, part: 'details' }));
    signal.throwIfAborted();
  }
  return layer;
}

/**
 * The layer with the frames of some steps; the store's own is left as it is.
 * @param {Source} source @param {Api} api @param {number[]} epochs
 * @param {{signal: AbortSignal, progress?: (share: number) => Promise<void>}} options
 */
export async function gatherFrames(source, api, epochs, { signal, progress }) {
  let layer = layerOf(source);
  const missing = epochs.filter((epoch) => !layer.frames[epoch]);
  for (const [i, epoch] of missing.entries()) {
    const step = layer.steps[epoch];
    layer = withFrames(layer, await api.layer(source.run, source.name, { from: step, to: step, part: 'frames' }));
    signal.throwIfAborted();
    if (!layer.frames[epoch]) throw new Error(`Step ${step} of layer “${source.name}” cannot be read: its record is damaged`);
    await progress?.((i + 1) / missing.length);
  }
  return layer;
}

/** The concept space of a step, fetched where the views do not know it. @param {Source} source @param {Api} api @param {Layer} layer @param {number} epoch @returns {Promise<Space>} */
export async function gatherSpace(source, api, layer, epoch) {
  const known = source.data.peek().spaces[layer.spaces[epoch]] ?? source.spaceAt.peek()(epoch);
  return known ?? spaceFromContainer(await api.space(source.run, layer.spaces[epoch] || undefined));
}

/** The threshold that holds at a step: the reader's, else the logged one. @param {Source} source @param {number} epoch @returns {number | null} */
export const thresholdOf = (source, epoch) => layerOf(source).cut ?? source.metrics.peek().find(({ step }) => step === source.steps.peek()[epoch])?.threshold ?? null;
