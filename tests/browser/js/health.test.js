// @ts-check
import { judgeHealth } from '../../../plugin_static/model/health.js';
import { equal, ok, test } from './harness.js';

const DEEP = { layer: 'layer4', isDeepest: true, deepest: 'layer4' };
const EARLY = { layer: 'layer2', isDeepest: false, deepest: 'layer4' };
/** One entry per step: d_anchor, interpretable, dead, high-level neurons, of 192. @param {[number | null, number, number?, number?][]} table @param {object} [more] @returns {any[]} */
const metrics = (table, more = {}) => table.map(([distance, interpretable, dead = 0, high = 0], step) => ({
  step, space: 's', neurons: 192, d_anchor: distance, interpretable, dead, constant: 0, nonfinite: 0, category_counts: { object: high, color: interpretable - high }, ...more,
}));
const levelOf = (/** @type {any[]} */ all, where = DEEP, step = 1e9) => judgeHealth(all, step, where)?.level;

// As logged by the demo's healthy and poor runs.
const HEALTHY = metrics([[0.752, 188, 0, 26], [0.716, 192, 0, 84], [0.661, 192, 0, 124], [0.688, 192, 0, 120], [0.686, 192, 0, 126]]);
const POOR = metrics([[0.752, 188, 0, 26], [0.854, 66, 95, 44], [0.905, 7, 179, 6], [0.858, 21, 161, 16]]);

test('a falling distance with many interpretable neurons looks healthy, and says why', () => {
  const health = judgeHealth(HEALTHY, 10, DEEP);
  equal(health?.level, 'healthy');
  equal(health?.facts, ['anchor distance fell from 0.752 to 0.686 (lower is more diverse)', '192 of 192 neurons interpretable', 'high-level concepts up from 14% to 66% of them']);
  ok(health?.rests.includes('rule of thumb'), 'it says on what it rests');
});

test('dead neurons and a rising distance look poor, the worst first', () => {
  const health = judgeHealth(POOR, 10, DEEP);
  equal(health?.level, 'poor');
  equal(health?.facts, ['161 of 192 neurons dead', 'anchor distance rose from 0.752 to 0.858 (lower is more diverse)', 'only 21 of 192 neurons interpretable']);
});

test('a plateau with few interpretable neurons looks poor, as in the thesis', () => {
  equal(levelOf(metrics([[0.47, 10], [0.47, 12], [0.468, 9], [0.47, 11], [0.47, 10]])), 'poor');
  equal(levelOf(metrics([[0.47, 10], [0.47, 12], [0.468, 9]])), 'watch');
});

test('few interpretable neurons while the distance falls far are on their way', () => {
  const health = judgeHealth(metrics([[0.69, 0], [0.64, 0], [0.6, 5], [0.57, 7], [0.55, 16]]), 10, DEEP);
  equal([health?.level, health?.headline], ['unclear', 'On its way']);
});

test('only steps up to the one shown count', () => {
  equal(levelOf(POOR, DEEP, 0), 'unclear');
  equal(levelOf(metrics([[0.8, 100], [0.7, 100], [0.6, 150], [0.95, 20, 150]]), DEEP, 2), 'healthy');
});

test('two steps are too early to tell, unless neurons are dead already', () => {
  equal(levelOf(HEALTHY.slice(0, 2)), 'unclear');
  equal(levelOf(POOR.slice(0, 2)), 'poor');
});

test('an early layer that stays as it is gets no verdict but the hint to look deeper', () => {
  const flat = metrics([[0.886, 192], [0.94, 192], [0.857, 192], [0.867, 192]]);
  equal(levelOf(flat, EARLY), 'unclear');
  ok(judgeHealth(flat, 10, EARLY)?.facts.some((fact) => fact.includes('judge by layer4')), 'the hint');
});

test('diversity lost again is worth a look', () => {
  equal(levelOf(metrics([[0.8, 150], [0.6, 150], [0.66, 150], [0.7, 150]])), 'watch');
});

test('a few dead neurons are worth a look, broken ones look poor', () => {
  equal(levelOf(metrics([[0.8, 150, 15], [0.7, 150, 15], [0.6, 150, 15]])), 'watch');
  equal(levelOf(metrics([[0.8, 150], [0.7, 150], [0.6, 150]], { nonfinite: 1 })), 'poor');
});

test('distances of another concept space do not count', () => {
  const changed = [...metrics([[0.3, 150], [0.3, 150]]), ...metrics([[0.8, 150], [0.7, 150], [0.6, 150]], { space: 't' }).map((entry, i) => ({ ...entry, step: i + 2 }))];
  equal(levelOf(changed), 'healthy');
});

test('unknown distances and empty layers do not break it', () => {
  equal(levelOf(metrics([[null, 0], [null, 0], [null, 0], [null, 0], [null, 0]])), 'poor');
  equal(judgeHealth([], 3, DEEP), null);
});

test('a log of one step is no training to be judged', () => {
  equal(judgeHealth(metrics([[0.5, 150]]), 0, DEEP)?.headline, 'A single step');
  equal(judgeHealth(metrics([[0.5, 150], [0.5, 150]]), 0, DEEP)?.headline, 'Too early to tell');
});

test('an alert that holds is never said to look healthy, and a critical one looks poor', () => {
  const alert = /** @type {any} */ ({ rule: 'concepts_frozen', layer: 'layer4', step: 3, severity: 'warning', ended: null });
  const held = judgeHealth(HEALTHY, 10, { ...DEEP, alerts: [alert] });
  equal([held?.level, held?.facts[0]], ['watch', 'alert since step 3: concepts frozen']);
  equal(judgeHealth(HEALTHY, 10, { ...DEEP, alerts: [{ ...alert, severity: 'critical' }] })?.level, 'poor');
  equal(judgeHealth(POOR, 10, { ...DEEP, alerts: [alert] }), judgeHealth(POOR, 10, DEEP));
});
