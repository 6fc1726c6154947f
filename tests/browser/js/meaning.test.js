// @ts-check
import { describeNeurons } from '/plugin_static/model/concepts.js';
import { flowBetween } from '/plugin_static/model/flow.js';
import { labelFromEntry, labelFromFrame } from '/plugin_static/model/neurons.js';
import { labelText } from '/plugin_static/panels/neurons/parts.js';
import { describeEpoch, describeInvalid, labelHistory, suggestTracked, summariseEpoch } from '/plugin_static/model/history.js';
import { KIND, NONE_KEY, NO_CODE, paintLayer, valueRange } from '/plugin_static/model/paint.js';
import { categoryOf, listCategories, spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, ok, test } from './harness.js';

const space = spaceFromContainer(makeSpaceAnswer(['red', 'striped', 'car', 'cart'], ['color', 'texture', 'object', 'object']));
const spaceAt = () => space;
const options = { colorBy: /** @type {const} */ ('category'), hidden: new Set(), concept: null };

test('known categories keep their colours whatever their order, low-level first', () => {
  equal(space.categories.map(({ name, slot }) => [name, slot]), [['color', 5], ['texture', 4], ['object', 0]]);
});
test('categories of one\'s own get colours of their own, then the free ones, then one for all', () => {
  const names = Array.from({ length: 14 }, (_, i) => `own${i}`);
  const slots = listCategories(['color', ...names, '']).map(({ slot }) => slot);
  equal(slots, [5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 10, 10, 10, 10, 10, 10]);
});
test('a set without categories has one, called concept', () => equal(listCategories(['', '']), [{ name: '', label: 'concept', slot: 0, rank: 999 }]));
test('no concept has no category', () => equal(categoryOf(space, -1), null));

test('a neuron\'s life is told in stretches', () => {
  const layer = makeLayer([[-1], [0], [0], [2]]);
  equal(labelHistory(layer, spaceAt, 0).map(({ from, to, word, slot }) => [from, to, word, slot]), [[0, 0, '', -1], [1, 2, 'red', 5], [3, 3, 'car', 0]]);
});
test('a step is summed up in counts', () => {
  const summary = summariseEpoch(makeLayer([[0, 2, null, -1], [2, 2, null, -1]]), spaceAt, 1);
  equal([summary.interpretable, summary.valid, summary.invalid, summary.uninterpretable, summary.changed], [2, 3, 1, 1, 1]);
  equal([...summary.counts], [['color', 0], ['texture', 0], ['object', 2]]);
  equal(describeEpoch(summary, 4, 0), '2 of 4 neurons interpretable\u00a0· most often “car” (2)\u00a0· 1 changed since step 0');
  equal(describeEpoch(summary, 4, null, '1 dead'), '2 of 4 neurons interpretable\u00a0· 1 dead\u00a0· most often “car” (2)');
});
test('invalid neurons are named by their kind', () => {
  const metrics = /** @type {any} */ ({ dead: 12, constant: 0, nonfinite: 1 });
  const told = (/** @type {any} */ of, /** @type {number} */ invalid, unknown = 0) => describeInvalid(of, { invalid, unknown });
  equal([told(metrics, 13), told(undefined, 2), told(metrics, 0), told({ dead: 0, constant: 0, nonfinite: 0 }, 1)], ['12 dead, 1 not finite', '2 without signal', '', '1 invalid neuron']);
  equal([told(metrics, 20, 7), told(undefined, 9, 7), told(undefined, 7, 7)], ['12 dead, 1 not finite, 7 without known stimulus', '2 without signal, 7 without known stimulus', '7 without known stimulus']);
});
test('neurons that the space does not know are no dead ones', () => {
  const layer = makeLayer([[0, -2, null, -1]]);
  const { valid, invalid, unknown } = summariseEpoch(layer, spaceAt, 0);
  equal([valid, invalid, unknown], [2, 2, 1]);
  equal(describeNeurons(layer, spaceAt, 0, new Set([1])), 'no known stimulus – 1 neuron');
  const flow = flowBetween(layer, spaceAt, 0, 0, 'category');
  equal(flow?.groups.slice(1).map(({ label }) => label), ['no concept', 'no known stimulus', 'no signal']);
  equal([labelText(labelFromFrame(layer, space, 0, 1)), labelText(labelFromFrame(layer, space, 0, 2))], ['no known stimulus', 'no signal']);
  const entry = { step: 0, valid: false, unknown: true, interpretable: false, word: '', category: '', similarity: null };
  equal(labelText(labelFromEntry(entry, null, () => -1)), 'no known stimulus');
});
test('neurons with a rich history are suggested, one for each concept', () => {
  const layer = makeLayer([[-1, 0, 2, 3], [2, 1, 2, 3], [2, 3, 2, -1]]);
  const chosen = suggestTracked(layer, spaceAt, 3);
  ok(chosen.includes(1), 'the neuron with two categories');
  ok(!chosen.includes(3), 'not one without a concept at the end');
  equal(suggestTracked(layer, spaceAt, 0), []);
});

test('paint hides invalid neurons and dims what is filtered out', () => {
  const layer = makeLayer([[0, 2, -1, null]]);
  equal(paintLayer(layer, spaceAt, options).at(0).kind, [KIND.FULL, KIND.FULL, KIND.FAINT, KIND.HIDDEN]);
  equal(paintLayer(layer, spaceAt, options).at(0).code, [5, 0, NO_CODE, NO_CODE]);
  equal(paintLayer(layer, spaceAt, { ...options, hidden: new Set(['object', NONE_KEY]) }).at(0).kind, [KIND.FULL, KIND.DIM_FULL, KIND.DIM_FAINT, KIND.HIDDEN]);
  equal(paintLayer(layer, spaceAt, { ...options, concept: 'car' }).at(0).kind, [KIND.DIM_FULL, KIND.FULL, KIND.DIM_FAINT, KIND.HIDDEN]);
});
test('a ramp runs over the values, without a value there is no colour', () => {
  const layer = makeLayer([[0, 2, -1]]);
  const paint = paintLayer(layer, spaceAt, { ...options, colorBy: 'similarity' });
  equal(paint.at(0).code, [254, 254, 0]);
  equal(paintLayer(layer, spaceAt, { ...options, colorBy: 'displacement' }).at(0).code, [NO_CODE, NO_CODE, NO_CODE]);
  equal(valueRange(makeLayer([[null]]), 'similarity'), [0, 1]);
});
