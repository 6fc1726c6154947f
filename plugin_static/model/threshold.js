// @ts-check
/** What the threshold slider shows: the range of best similarities, how they are spread, how many pass. */
import { isValid, similarityOf } from './layer.js';

/** @typedef {import('./layer.js').Layer} Layer */
/** @typedef {{low: number, high: number, step: number, digits: number}} Scale of the slider: ends and step, and how many decimals are worth writing */

/** About how many places the slider has. */
const PLACES = 200;
/** Least and greatest best similarity of a step, found once. @type {WeakMap<import('./layer.js').Frame, [number, number]>} */
const extremes = new WeakMap();

/** @param {Layer} layer @param {number} epoch @returns {[number, number]} Infinity, -Infinity where nothing is valid */
function extremesOf(layer, epoch) {
  const frame = layer.frames[epoch];
  if (!frame) return [Infinity, -Infinity];
  const known = extremes.get(frame);
  if (known) return known;
  let [low, high] = [Infinity, -Infinity];
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const value = frame.similarity[neuron];
    if (!isValid(layer, epoch, neuron) || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  extremes.set(frame, [low, high]);
  return [low, high];
}

/**
 * The slider's scale: all best similarities of all steps that are there, and the given thresholds. It does not
 * depend on the step shown, so that the slider stays where it is while time passes.
 * @param {Layer[]} layers @param {(number | null | undefined)[]} thresholds @returns {Scale | null} null where there is nothing
 */
export function thresholdScale(layers, thresholds) {
  let [low, high] = [Infinity, -Infinity];
  for (const layer of layers) {
    for (let epoch = 0; epoch < layer.steps.length; epoch++) {
      const [least, greatest] = extremesOf(layer, epoch);
      low = Math.min(low, least);
      high = Math.max(high, greatest);
    }
  }
  if (!(high >= low)) return null;
  for (const threshold of thresholds) {
    if (typeof threshold !== 'number' || !Number.isFinite(threshold)) continue;
    low = Math.min(low, threshold);
    high = Math.max(high, threshold);
  }
  const span = high - low || Math.abs(high) || 1;
  const decade = 10 ** Math.floor(Math.log10(span / PLACES));
  const step = [1, 2, 5, 10].map((factor) => factor * decade).find((size) => span / size <= PLACES) ?? 10 * decade;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ends = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  return { low: tidy(ends[0] * step, digits), high: tidy(Math.max(ends[1], ends[0] + 1) * step, digits), step: tidy(step, digits), digits };
}

/** @param {number} value @param {number} digits */
const tidy = (value, digits) => Number(value.toFixed(digits));

/**
 * How many valid neurons have a best similarity in each of equal parts of the scale.
 * @param {Layer} layer @param {number} epoch @param {Scale} scale @param {number} bins @returns {number[]} (bins)
 */
export function similarityHistogram(layer, epoch, { low, high }, bins) {
  const counts = new Array(bins).fill(0);
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    const value = similarityOf(layer, epoch, neuron);
    if (!isValid(layer, epoch, neuron) || !Number.isFinite(value)) continue;
    counts[Math.max(0, Math.min(bins - 1, Math.floor(((value - low) / (high - low || 1)) * bins)))]++;
  }
  return counts;
}

/** How many valid neurons are above a threshold, and how many valid ones there are. @param {Layer} layer @param {number} epoch @param {number} threshold */
export function countAbove(layer, epoch, threshold) {
  let [above, valid] = [0, 0];
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (!isValid(layer, epoch, neuron)) continue;
    valid++;
    if (similarityOf(layer, epoch, neuron) > threshold) above++;
  }
  return { above, valid };
}

/** Where the logged threshold comes from, in words. @param {import('../api.js').Metrics | undefined} metrics */
export function originOf(metrics) {
  if (metrics?.threshold === null || metrics?.threshold === undefined) return 'as logged';
  return metrics.threshold_level === null || metrics.threshold_level === undefined ? 'set in the training script' : `calibrated: ${Number((metrics.threshold_level * 100).toPrecision(2))}% of noise passes`;
}
