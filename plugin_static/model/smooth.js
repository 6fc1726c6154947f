// @ts-check
/** Smoothing as TensorBoard's line charts do it, so that a curve looks the same here and in its Scalars tab. */

/** The largest weight of TensorBoard's slider; with 1 nothing would ever move. */
export const MAX_SMOOTHING = 0.999;

/**
 * Exponential moving average, freed of the pull of its start at zero. Values that are not finite stay as they are
 * and count for nothing; a constant stays itself, without rounding.
 * @param {ArrayLike<number>} values @param {number} weight of the past, 0 (none) to 0.999
 * @returns {number[]}
 */
export function smooth(values, weight) {
  const all = Array.from(values);
  if (!(weight > 0) || all.every((value) => value === all[0])) return all;
  let last = 0;
  let debias = 1;
  return all.map((value) => {
    if (!Number.isFinite(value)) return value;
    last = last * weight + (1 - weight) * value;
    debias *= weight;
    return last / (1 - debias);
  });
}
