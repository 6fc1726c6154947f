// @ts-check
import { describeProblem, formatAge, judgeAge, loadingProgress, noticesOf, runRows } from '../../../plugin_static/model/states.js';
import { equal, ok, test } from './harness.js';

const index = (/** @type {any} */ part = {}) => ({ layers: { layer4: { neurons: 8, steps: [0, 1], wall_times: [0, 30] } }, spaces: [], note: '', skipped: [], ...part });
const summary = (/** @type {any} */ part = {}) => ({ interpretable: 4, valid: 8, invalid: 0, counts: new Map(), uninterpretable: 4, changed: 0, commonest: null, ...part });
const idsOf = (/** @type {any} */ part) => noticesOf({ index: index(), layer: 'layer4', note: '', summary: summary(), threshold: null, logged: 0.35, drawn: null, age: { kind: 'fresh', text: '' }, ...part }).map(({ id }) => id);
const EVERY_30_S = [0, 30, 60, 90, 120];

test('runs that can be shown come first, the others say why not', () => {
  const rows = runRows({ broken: index({ layers: {}, skipped: [{ reason: 'x', code: 'newer_schema' }] }), other: index({ layers: { layer2: { neurons: 8, steps: [0], wall_times: [0] } } }), good: index() }, ['good', 'scalars only'], 'layer4');
  equal(rows.map(({ run, usable, hasLayer }) => [run, usable, hasLayer]), [['other', true, false], ['good', true, true], ['broken', false, false], ['scalars only', false, false]]);
  equal(rows.map(({ reason }) => reason), ['no layer “layer4”: has layer2', '', 'written by a newer version of Concept Monitor', 'logged no concepts']);
});

test('a training that misses three of its usual steps seems to have stopped, but not before ten minutes', () => {
  equal(judgeAge(EVERY_30_S, 120, 120 + 300).kind, 'fresh');
  const stale = judgeAge(EVERY_30_S, 120, 120 + 900);
  equal(stale.kind, 'stale');
  equal(stale.text, 'Training seems to have stopped 15 minutes ago');
  ok(stale.detail?.includes('usually one came every 30 s'), String(stale.detail));
});

test('a training with long steps is given their time', () => {
  equal(judgeAge([0, 7200, 14400], 14400, 14400 + 3 * 3600).kind, 'fresh');
  equal(judgeAge([0, 7200, 14400], 14400, 14400 + 7 * 3600).kind, 'stale');
});

test('an old run is no reason for a warning: its age is told quietly', () => {
  equal(judgeAge(EVERY_30_S, 120, 120 + 3 * 3600), { kind: 'old', text: 'last step 3 h ago' });
  equal(judgeAge(EVERY_30_S, 1.7e9, 1.8e9).text, 'last step on 2023-11-14');
  equal(judgeAge([0], 0, 1200).kind, 'old');
  equal(judgeAge([], NaN, 1200).kind, 'fresh');
});

test('ages are told in the unit that fits', () => {
  equal([5, 100, 1800, 7200, 3 * 86400].map(formatAge), ['5 s', '2 minutes', '30 minutes', '2 h', '3 days']);
});

test('all is well: there is nothing to say', () => { equal(idsOf({}), []); });

test('what is shown but not in the log any more is told first', () => {
  equal(idsOf({ index: null, gone: true, note: 'made up' }), ['gone', 'note']);
  equal(idsOf({ gone: false }), []);
});

test('nothing interpretable is told with the way back where the reader moved the threshold', () => {
  const [notice] = noticesOf({ index: index(), layer: 'layer4', note: '', summary: summary({ interpretable: 0 }), threshold: 0.9, logged: 0.35, drawn: null, age: { kind: 'fresh', text: '' } });
  equal([notice.level, notice.action], ['warn', 'reset threshold']);
  equal(idsOf({ summary: summary({ interpretable: 0 }) }), ['none']);
  equal(idsOf({ summary: summary({ interpretable: 0, valid: 0 }) }), ['silent']);
});

test('filters that hide everything can be cleared; a layer without any signal is not their fault', () => {
  equal(idsOf({ drawn: 0 }), ['filtered']);
  equal(idsOf({ drawn: 3 }), []);
  equal(idsOf({ drawn: 0, summary: summary({ interpretable: 0, valid: 0 }) }), ['silent']);
});

test('records of a newer version are told apart from damaged ones', () => {
  const notices = noticesOf({ index: index({ skipped: [{ layer: 'layer4', step: 2, code: 'checksum', reason: 'bad' }, { layer: 'layer4', step: 3, code: 'newer_schema', reason: 'new' }] }), layer: 'layer4', note: '', summary: summary(), threshold: null, logged: 1, drawn: null, age: { kind: 'fresh', text: '' } });
  equal(notices.map(({ id }) => id), ['newer', 'skipped']);
  ok(notices[0].more?.[0].includes('Update'), 'the mend');
  equal(notices[1].more, ['layer4, step 2: bad']);
});

test('sampled steps tell how to keep all, for the layer shown only', () => {
  const sampled = { layer4: { kept: 100, logged: 250 } };
  const [notice] = noticesOf({ index: index({ sampled }), layer: 'layer4', note: '', summary: summary(), threshold: null, logged: 1, drawn: null, age: { kind: 'fresh', text: '' } });
  ok(notice.text.includes('100 of 250'), notice.text);
  ok(notice.more?.[0].includes('--samples_per_plugin conceptmon=0'), 'the mend');
  equal(idsOf({ index: index({ sampled: { layer2: { kept: 1, logged: 2 } } }) }), []);
});

test('an unreachable TensorBoard is told with since when, another failure in its own words', () => {
  ok(describeProblem('TensorBoard does not answer. Trying again…', 0, 180000).includes('(3 minutes)'), 'age');
  equal(describeProblem('no such layer: layer9', 0, 0), 'no such layer: layer9. Trying again…');
  equal(describeProblem('', 0, 0), '');
});

test('progress counts the steps of all shown layers', () => {
  equal(loadingProgress([{ loaded: 40, steps: [1, 2, 3] }, null, { loaded: 2, steps: [1] }]).text, '42 of 4 steps loaded');
});
