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

/** Age of the newest data in steps' usual distance, and in seconds, beyond which a training seems to have stopped. */
const STALE_INTERVALS = 3;
const STALE_SECONDS = 600;
/** From then on it is an old run, not one that hangs. */
const OLD_INTERVALS = 30;
const OLD_SECONDS = 3600;
const MONTH = 30 * 86400;

/**
 * Whether data still come in. A run that ended long ago is no reason for a warning.
 * @param {number[]} wallTimes of the steps, seconds @param {number} newest wall time of the newest data, seconds @param {number} now seconds
 * @returns {{kind: 'fresh' | 'stale' | 'old', text: string, detail?: string}}
 */
export function judgeAge(wallTimes, newest, now) {
  const age = now - newest;
  if (!Number.isFinite(age) || age < STALE_SECONDS) return { kind: 'fresh', text: '' };
  const gaps = wallTimes.slice(1).map((time, i) => time - wallTimes[i]).filter((gap) => gap > 0).sort((a, b) => a - b);
  const usual = gaps.length ? gaps[Math.floor(gaps.length / 2)] : NaN;
  const quiet = age > MONTH ? `last step on ${new Date(1000 * newest).toISOString().slice(0, 10)}` : `last step ${formatAge(age)} ago`;
  if (Number.isFinite(usual) && age <= STALE_INTERVALS * usual) return { kind: 'fresh', text: '' };
  if (!Number.isFinite(usual) || age > Math.max(OLD_SECONDS, OLD_INTERVALS * usual)) return { kind: 'old', text: quiet };
  return { kind: 'stale', text: `Training seems to have stopped ${formatAge(age)} ago`, detail: `The last step came ${formatAge(age)} ago, usually one came every ${formatAge(usual)}: the training has ended, stopped, or hangs.` };
}

/** @typedef {'reset threshold' | 'clear filters'} Action what the reader can do about it */
/** @typedef {{id: string, level: 'warn' | 'info', text: string, more?: string[], action?: Action, title?: string}} Notice */
/**
 * @typedef {object} Situation of one run and layer as it is shown
 * @property {RunIndex | null} index
 * @property {string} layer
 * @property {boolean} [gone] whether it is shown but not in the log directory (any more, or yet again)
 * @property {string} note of the log about itself
 * @property {import('./history.js').EpochSummary | null} summary
 * @property {number | null} threshold the reader's, null: as logged
 * @property {number | null} logged threshold of this step
 * @property {number | null} drawn neurons that the filters leave, null where there is no filter
 * @property {ReturnType<typeof judgeAge>} age
 * @property {boolean} [lacksImages] whether a card is open and the run has no images to show on it
 */

/** What there is to say about a run and layer, the gravest first. @param {Situation} situation @returns {Notice[]} */
export function noticesOf(situation) {
  const { index, layer, gone, note, summary, threshold, logged, drawn, age, lacksImages } = situation;
  /** @type {Notice[]} */
  const notices = [];
  if (gone) notices.push({ id: 'gone', level: 'warn', text: 'Not in the log directory any more, or not read again yet. What you see is as of then' });
  if (summary && summary.valid === 0) notices.push({ id: 'silent', level: 'warn', text: summary.unknown ? 'The semantic space knows no neuron of this step: nothing to draw' : 'No neuron has a signal at this step: nothing to draw' });
  else if (summary && summary.interpretable === 0 && threshold !== null) notices.push({ id: 'threshold', level: 'warn', text: 'Nothing is interpretable above your threshold', action: 'reset threshold' });
  else if (summary && summary.interpretable === 0) notices.push({ id: 'none', level: 'info', text: `No neuron is above the threshold${logged === null ? '' : ` of ${Number(logged.toPrecision(3))}`} at this step: all fit no word clearly` });
  if (drawn === 0 && summary && summary.valid > 0) notices.push({ id: 'filtered', level: 'warn', text: 'The filters hide every neuron of this step', action: 'clear filters' });
  notices.push(...skippedNotices(index?.skipped ?? []));
  if (age.kind === 'stale') notices.push({ id: 'stale', level: 'warn', text: age.text, title: age.detail });
  const sampled = index?.sampled?.[layer];
  if (sampled && sampled.kept < sampled.logged) {
    notices.push({ id: 'sampled', level: 'info', text: `Steps were sampled: TensorBoard kept ${formatCount(sampled.kept)} of ${formatCount(sampled.logged)}`, more: ['To keep all, start it with --samples_per_plugin conceptmon=0'] });
  }
  if (lacksImages) notices.push({ id: 'images', level: 'info', text: 'This run logged no probe images: cards show words alone' });
  if (note) notices.push({ id: 'note', level: 'info', text: note });
  return notices;
}

/** @param {import('../api.js').Skipped[]} skipped @returns {Notice[]} */
function skippedNotices(skipped) {
  const line = (/** @type {import('../api.js').Skipped} */ { layer, step, reason }) => `${layer ? `${layer}, ` : ''}${step === undefined || step === null ? '' : `step ${step}: `}${reason}`;
  const newer = skipped.filter(({ code }) => code === 'newer_schema');
  const others = skipped.filter(({ code }) => code !== 'newer_schema');
  /** @type {Notice[]} */
  const notices = [];
  if (newer.length) {
    notices.push({ id: 'newer', level: 'warn', text: `${counted(newer.length, 'record')} written by a newer version of Concept Monitor`, more: ['Update conceptmon-tb where TensorBoard runs, then restart it.', ...newer.slice(0, 5).map(line)] });
  }
  if (others.length) notices.push({ id: 'skipped', level: 'warn', text: `${counted(others.length, 'record')} could not be read`, more: others.slice(0, 20).map(line) });
  return notices;
}

/**
 * A failure in words: since when, and what happens now.
 * @param {string} problem '' for none @param {number} since milliseconds @param {number} now
 */
export function describeProblem(problem, since, now) {
  if (!problem) return '';
  if (!problem.startsWith('TensorBoard does not answer')) return `${problem}${/[.!?…]$/.test(problem) ? '' : '.'} Trying again…`;
  const clock = new Date(since).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const age = (now - since) / 1000;
  return `TensorBoard has not answered since ${clock}${age < 60 ? '' : ` (${formatAge(age)})`}. What you see is as of then; trying again…`;
}

/** Steps that are there and to come, over all shown layers. @param {({loaded: number, steps: number[]} | null)[]} layers */
export function loadingProgress(layers) {
  const known = layers.filter((layer) => layer !== null);
  const loaded = known.reduce((sum, layer) => sum + layer.loaded, 0);
  const total = known.reduce((sum, layer) => sum + layer.steps.length, 0);
  return { loaded, total, text: `${formatCount(loaded)} of ${counted(total, 'step')} loaded` };
}
