// @ts-check
/** Which steps to fetch next and which to keep, around the one that is shown. */

/** Steps ahead are wanted sooner than steps behind: playing goes forward. */
const BEHIND = 2.1;

/** @param {number} epoch @param {number} at */
const distance = (epoch, at) => (epoch >= at ? epoch - at : (at - epoch) * BEHIND);

/**
 * Which of all steps to keep when only some fit: those nearest to the cursor.
 * @param {number} count steps in all @param {number} at the step shown @param {number} most how many fit
 * @returns {(epoch: number) => boolean}
 */
export function keptAround(count, at, most) {
  if (count <= most) return () => true;
  const order = Array.from({ length: count }, (_, epoch) => epoch).sort((a, b) => distance(a, at) - distance(b, at));
  const kept = new Set(order.slice(0, most));
  return (epoch) => kept.has(epoch);
}

/**
 * The next run of missing steps to ask for, nearest to the cursor first.
 * @param {number} count steps in all @param {number} at the step shown @param {number} most how many fit
 * @param {number} size how many to ask for at once @param {(epoch: number) => boolean} missing
 * @returns {[number, number] | null} first and last index, null when nothing is missing
 */
export function chooseChunk(count, at, most, size, missing) {
  const kept = keptAround(count, at, most);
  const wanted = (/** @type {number} */ epoch) => epoch >= 0 && epoch < count && missing(epoch) && kept(epoch);
  let nearest = -1;
  for (let epoch = 0; epoch < count; epoch++) {
    if (wanted(epoch) && (nearest < 0 || distance(epoch, at) < distance(nearest, at))) nearest = epoch;
  }
  if (nearest < 0) return null;
  let [from, to] = [nearest, nearest];
  while (to - from + 1 < size) {
    if (wanted(to + 1)) to++;
    else if (wanted(from - 1)) from--;
    else break;
  }
  return [from, to];
}
