// @ts-check
/**
 * Where something happens in a run: the marks on the time line. Every rule is made to stay silent on noise, and
 * says in a sentence what it found; `RULES` says how.
 */

/** @typedef {'reached' | 'falling' | 'dead' | 'rate' | 'alert' | 'critical'} EventKind */
/** @typedef {{kind: EventKind, index: number, text: string}} Event index: of a logged step, may lie between two; text: one sentence without its end */
/** @typedef {{index: number, events: Event[]}} Mark events so near each other that they share one mark */

/** @type {Record<EventKind, {name: string, rule: string}>} */
export const RULES = {
  reached: { name: 'interpretable neurons gained', rule: 'The first step at which the layer has 25, 50 or 75% of the interpretable neurons that it ends with.' },
  falling: { name: 'diversity falling', rule: 'The anchor distance rises over three steps by more than four times its own noise, and by at least 2%: neurons cover fewer concepts from here on.' },
  dead: { name: 'neurons without signal', rule: 'Within three steps at least 5% of the layer’s neurons (and at least three) become dead, constant or not finite.' },
  alert: { name: 'alert', rule: 'Raised while the run was trained; the list of alerts has the numbers.' },
  critical: { name: 'critical alert', rule: 'Raised while the run was trained, far beyond what its rule asks for; the list of alerts has the numbers.' },
  rate: { name: 'learning rate changed', rule: 'The logged learning rate jumps to at least 1.5 times, or at most two thirds, of what it was; a smooth schedule makes no mark.' },
};

const SHARES = [0.25, 0.5, 0.75];
/** Of the layer's neurons: where fewer were gained in all, nothing was reached. */
const LEAST_GAIN = 0.05;
const LEAST_NEURONS = 3;
/** Steps over which something counts as sudden. */
const WINDOW = 3;
const NOISE_FACTOR = 4;
const LEAST_RISE = 0.02;
const RATE_FACTOR = 1.5;
/** A jump stands off from the changes around it by this much; the start of a warm-up does not. */
const RATE_CONTRAST = 3;
/** Steps whose median is what a run "ends with". */
const END_STEPS = 3;

/**
 * Steps at which the number of interpretable neurons first passes a quarter, half and three quarters of what it ends with.
 * @param {(number | null)[]} counts one for each step, null where not known @param {number} neurons of the layer @returns {Event[]}
 */
export function findReached(counts, neurons) {
  const known = counts.flatMap((count, index) => (count === null ? [] : [{ count, index }]));
  if (known.length < 2) return [];
  const end = median(known.slice(-END_STEPS).map(({ count }) => count));
  const first = known[0].count;
  if (end - first < Math.max(LEAST_NEURONS, LEAST_GAIN * neurons)) return [];
  return SHARES.flatMap((share) => {
    const hit = known.find(({ count }) => count >= share * end);
    return !hit || first >= share * end ? [] : [{ kind: /** @type {const} */ ('reached'), index: hit.index, text: `${Math.round(100 * share)}% of the final interpretable neurons: ${hit.count} of ${Math.round(end)}` }];
  });
}

/**
 * Steps from which the anchor distance rises for good, that is, concept diversity falls.
 * @param {(number | null)[]} distances one for each step @param {(value: number) => string} [format] @returns {Event[]}
 */
export function findFalling(distances, format = String) {
  const known = distances.flatMap((value, index) => (value === null || !Number.isFinite(value) ? [] : [{ value, index }]));
  const noise = noiseOf(known.map(({ value }) => value));
  /** @type {Event[]} */
  const events = [];
  for (let i = 0; i + WINDOW < known.length; i++) {
    // One step alone, however low or high, is no trend: from a median, and up for two steps.
    const low = median(known.slice(Math.max(0, i - 2), i + 1).map(({ value }) => value));
    const least = Math.max(NOISE_FACTOR * noise * Math.SQRT2, LEAST_RISE * Math.abs(low));
    if (known[i + WINDOW].value - low <= least || known[i + WINDOW - 1].value - low <= least / 2) continue;
    let start = i;
    while (known[start + 1].value - low <= least / 2) start++;
    let top = i + WINDOW;
    while (top + 1 < known.length && known[top + 1].value > known[top].value - noise) top++;
    const peak = Math.max(...known.slice(start, top + 1).map(({ value }) => value));
    events.push({ kind: 'falling', index: known[start].index, text: `Diversity falls: the anchor distance rises from ${format(low)} to ${format(peak)}` });
    // The next rise is told from the top of this one.
    i = top;
  }
  return events;
}

/**
 * Steps at which many neurons lose their signal.
 * @param {(number | null)[]} lost neurons without signal at each step @param {number} neurons of the layer @returns {Event[]}
 */
export function findDead(lost, neurons) {
  const least = Math.max(LEAST_NEURONS, LEAST_GAIN * neurons);
  /** @type {Event[]} */
  const events = [];
  let base = 0;
  for (let i = 1; i < lost.length; i++) {
    const now = lost[i];
    const before = lost.slice(Math.max(base, i - WINDOW), i).filter((count) => count !== null);
    if (now === null || !before.length) continue;
    const low = Math.min(...before);
    if (now - low < least) continue;
    let end = i;
    // The rise may go on: one event tells it all.
    while (end + 1 < lost.length && (lost[end + 1] ?? -1) > /** @type {number} */ (lost[end])) end++;
    events.push({ kind: 'dead', index: i, text: `Neurons without signal rise from ${low} to ${lost[end]} of ${neurons}` });
    base = i = end;
  }
  return events;
}

/**
 * Jumps of the learning rate.
 * @param {{x: number, y: number}[]} points x: index of a logged step, may lie between two @param {(value: number) => string} [format] @returns {Event[]}
 */
export function findRateChanges(points, format = String) {
  const known = points.filter(({ y }) => y > 0 && Number.isFinite(y));
  const change = known.map(({ y }, i) => (i ? Math.abs(Math.log(y / known[i - 1].y)) : 0));
  return known.flatMap(({ x, y }, i) => {
    const around = Math.max(change[i - 1] ?? 0, change[i + 1] ?? 0);
    if (i === 0 || change[i] < Math.log(RATE_FACTOR) - 1e-9 || change[i] < RATE_CONTRAST * around) return [];
    return [{ kind: /** @type {const} */ ('rate'), index: x, text: `Learning rate ${format(known[i - 1].y)} → ${format(y)}` }];
  });
}

/** The tags that are a learning rate, the plainest name first. @param {string[]} tags */
export const rateTags = (tags) => tags.filter((tag) => /(^|[/_\-. ])(lr|learning[_-]?rate)(?=$|[/_\-. \d])/i.test(tag)).sort((a, b) => a.length - b.length || a.localeCompare(b));

/**
 * Events that would lie on top of each other share a mark, at the first one's place.
 * @param {Event[]} events @param {(index: number) => number} place in pixels @param {number} gap least distance of two marks, px @returns {Mark[]}
 */
export function mergeMarks(events, place, gap) {
  /** @type {Mark[]} */
  const marks = [];
  for (const event of [...events].sort((a, b) => a.index - b.index)) {
    const last = marks[marks.length - 1];
    if (last && place(event.index) - place(last.index) < gap) last.events.push(event);
    else marks.push({ index: event.index, events: [event] });
  }
  return marks;
}

/**
 * Standard deviation of the noise on a curve, whatever its trend: from how much each point stands off its two neighbours.
 * @param {number[]} values
 */
export function noiseOf(values) {
  const bends = values.slice(2).map((value, i) => Math.abs(value - 2 * values[i + 1] + values[i]));
  // Second differences of independent noise have six times its variance; 1.4826 makes a median a standard deviation.
  return bends.length ? (1.4826 * median(bends)) / Math.sqrt(6) : 0;
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
