// @ts-check
/**
 * A rule of thumb for one layer of one run: does its training look healthy? After the thesis (sections 2.1.3 and
 * 2.3): in good training the anchor distance falls, more neurons become interpretable and deep layers turn to
 * high-level concepts; in poor training neurons stay clumped or die and the distance stays high or rises.
 */
import { nameOfRule } from './alerts.js';
import { formatCount, formatNumber, formatShare } from './format.js';

/** @typedef {import('../api.js').Metrics} Metrics */
/** @typedef {import('../api.js').Alert} Alert */
/** @typedef {{level: 'healthy' | 'poor' | 'watch' | 'unclear', headline: string, facts: string[], rests: string}} Health */

export const HIGH_LEVEL = ['part', 'object', 'scene'];
/** Fewer logged steps than these tell no trend. */
const LEAST_STEPS = 3;
/** Changes of the anchor distance that count: share of its first value. */
const FALLEN = -0.03;
const RISEN = 0.03;
/** A fall that outweighs few interpretable neurons: they come later. */
const FALLEN_FAR = -0.1;
/** Before so many steps few interpretable neurons are no bad sign. */
const EARLY_STEPS = 5;
/** How far above its best so far the distance may be before it is worth a word. */
const RELAPSE = 0.06;
const FEW = 0.3;
const MANY_DEAD = 0.25;
const SOME_DEAD = 0.05;

/**
 * @param {Metrics[]} metrics of the layer, in order @param {number} step the one shown: later ones do not count
 * @param {Where & {alerts?: Alert[]}} where alerts: those that hold at the step
 * @returns {Health | null} null where nothing is known
 */
export function judgeHealth(metrics, step, { alerts = [], ...where }) {
  const health = judgeCurves(metrics, step, where);
  if (!health || !alerts.length || health.level === 'poor') return health;
  // What was raised while the run was trained is never said to look healthy.
  const isPoor = alerts.some(({ severity }) => severity === 'critical');
  const told = alerts.map(({ rule, step: since }) => `alert since step ${formatCount(since)}: ${nameOfRule(rule)}`);
  return { ...health, level: isPoor ? 'poor' : 'watch', headline: isPoor ? 'Looks poor' : 'Worth a look', facts: [...told, ...health.facts] };
}

/** @typedef {{layer: string, isDeepest: boolean, deepest: string, isMoved?: boolean}} Where isMoved: the reader's threshold is another than the logged one */

/** @param {Metrics[]} metrics @param {number} step @param {Where} where @returns {Health | null} */
function judgeCurves(metrics, step, { layer, isDeepest, deepest, isMoved = false }) {
  const upTo = metrics.filter((entry) => entry.step <= step);
  const now = upTo[upTo.length - 1];
  if (!now || !now.neurons) return null;
  // Distances in another concept space are of another scale.
  const past = upTo.filter((entry) => entry.space === now.space);
  const rests = `A rule of thumb from anchor distance, interpretable, dead and high-level neurons of ${layer} at ${past.length === 1 ? 'one step' : `${formatCount(past.length)} steps`} up to step ${formatCount(step)}, with the logged threshold. Not a measurement of quality: look at loss and accuracy too.`;
  const distance = distanceTrend(past);
  const shares = { interpretable: now.interpretable / now.neurons, dead: (now.dead + now.constant) / now.neurons, broken: now.nonfinite / now.neurons };
  const tell = { now, distance, shares, high: highLevel(past), isMoved };

  if (shares.broken > 0 || shares.dead >= MANY_DEAD) return { level: 'poor', headline: 'Looks poor', facts: facts(tell), rests };
  // Imported results have one step, and no training to be judged.
  if (metrics.length === 1) return { level: 'unclear', headline: 'A single step', facts: facts(tell), rests };
  if (past.length < LEAST_STEPS) return { level: 'unclear', headline: 'Too early to tell', facts: [`${past.length === 1 ? 'one step' : `${past.length} steps`} so far`, ...facts(tell)], rests };
  const change = distance?.change ?? 0;
  const few = shares.interpretable < FEW;
  if (!isDeepest && change > FALLEN && !few) {
    return { level: 'unclear', headline: 'No clear sign', facts: [...facts(tell), `early layers often stay as they are: judge by ${deepest}`], rests };
  }
  if (change >= RISEN || (few && change > FALLEN_FAR && past.length >= EARLY_STEPS)) return { level: 'poor', headline: 'Looks poor', facts: facts(tell), rests };
  if (few && change <= FALLEN && !(distance && distance.relapse > RELAPSE)) return { level: 'unclear', headline: 'On its way', facts: facts(tell), rests };
  if (few || shares.dead >= SOME_DEAD || (distance && distance.relapse > RELAPSE)) return { level: 'watch', headline: 'Worth a look', facts: facts(tell), rests };
  if (change <= FALLEN) return { level: 'healthy', headline: 'Looks healthy', facts: facts(tell), rests };
  return { level: 'unclear', headline: 'No clear sign', facts: facts(tell), rests };
}

/** @typedef {{first: number, now: number, change: number, relapse: number, best: number, bestStep: number}} DistanceTrend */

/** @param {Metrics[]} past @returns {DistanceTrend | null} */
function distanceTrend(past) {
  const known = past.filter(({ d_anchor: value }) => value !== null && Number.isFinite(value) && value > 0).map(({ step, d_anchor: value }) => ({ step, value: Number(value) }));
  if (known.length < 2) return null;
  const [first, now] = [known[0].value, known[known.length - 1].value];
  const best = known.reduce((low, one) => (one.value < low.value ? one : low));
  return { first, now, change: (now - first) / first, relapse: (now - best.value) / best.value, best: best.value, bestStep: best.step };
}

/** Share of high-level concepts among interpretable neurons, first and now, where the categories are those of the thesis. @param {Metrics[]} past */
function highLevel(past) {
  const shareOf = (/** @type {Metrics} */ { category_counts: counts, interpretable }) => (interpretable && HIGH_LEVEL.some((name) => name in counts) ? HIGH_LEVEL.reduce((sum, name) => sum + (counts[name] ?? 0), 0) / interpretable : null);
  return { first: shareOf(past[0]), now: shareOf(past[past.length - 1]) };
}

/** What was seen, the worst first. @param {{now: Metrics, distance: DistanceTrend | null, shares: {interpretable: number, dead: number, broken: number}, high: {first: number | null, now: number | null}, isMoved: boolean}} tell */
function facts({ now, distance, shares, high, isMoved }) {
  const told = [];
  const of = ` of ${formatCount(now.neurons)} neurons`;
  if (now.nonfinite) told.push(`${formatCount(now.nonfinite)}${of} not finite`);
  if (now.dead && shares.dead >= SOME_DEAD) told.push(`${formatCount(now.dead)}${of} dead`);
  if (now.constant && shares.dead >= SOME_DEAD) told.push(`${formatCount(now.constant)}${of} constant`);
  if (distance) {
    const { first, now: value, change, relapse, best, bestStep } = distance;
    const moved = change <= FALLEN ? 'fell' : change >= RISEN ? 'rose' : 'hardly changed,';
    told.push(`anchor distance ${moved} from ${formatNumber(first)} to ${formatNumber(value)} (lower is more diverse)`);
    if (relapse > RELAPSE && change < RISEN) told.push(`it was ${formatNumber(best)} at step ${formatCount(bestStep)}`);
  }
  told.push(`${shares.interpretable < FEW ? 'only ' : ''}${formatCount(now.interpretable)}${of} interpretable${isMoved ? ' at the logged threshold' : ''}`);
  // Of a handful of neurons a share tells nothing.
  if (high.first !== null && high.now !== null && Math.abs(high.now - high.first) >= 0.1 && shares.interpretable >= FEW) {
    told.push(`high-level concepts ${high.now > high.first ? 'up' : 'down'} from ${formatShare(high.first)} to ${formatShare(high.now)} of them`);
  }
  return told;
}
