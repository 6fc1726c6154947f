// @ts-check
import {
  between, emptyLayer, isInterpretable, keepOnly, labelOf, nearestLoaded, pickNeuron, placeOf, relisted, topConcepts, topImages, withDetails, withFrames,
} from '/plugin_static/model/layer.js';
import { equal, makeLayer, near, test } from './harness.js';

const always = () => true;
const f = (/** @type {number[]} */ shape, /** @type {any} */ values) => ({ shape, values });
const listed = { neurons: 1, steps: [-1, 4], wall_times: [10, 20] };
const frames = (/** @type {number[]} */ steps) => ({ kind: 'layer', version: 1, step: 0, attrs: { layer: 'conv', steps, space: steps.map(() => 'a'), top_concepts: 2, images: 3 }, arrays: {
  steps: f([steps.length], Int32Array.from(steps)), flags: f([steps.length, 1], Uint8Array.from(steps.map(() => 3))),
  position: f([steps.length, 1, 2], Float32Array.from(steps.flatMap((step) => [step, 1]))), concept_ids: f([steps.length, 1, 1], Int32Array.from(steps.map(() => 8))),
  similarity: f([steps.length, 1, 1], Float32Array.from(steps.map(() => 0.5))), displacement: f([steps.length, 1], new Float32Array(steps.length)) } });

test('frames come in one by one, and a step that is not there is drawn by its nearest neighbour', () => {
  const none = emptyLayer('r', 'conv', listed);
  equal(between(none, 0.5), { before: -1, after: -1, share: 0 });
  const layer = withFrames(none, frames([4]));
  equal([layer.loaded, layer.spaces, layer.topK, layer.images], [1, ['', 'a'], 2, 3]);
  equal([nearestLoaded(layer, 0), between(layer, 0.25)], [1, { before: 1, after: 1, share: 0 }]);
  equal([labelOf(layer, 0, 0), labelOf(layer, 1, 0)], [-1, 8]);
  equal(withFrames(layer, frames([99])).loaded, 1);
});
test('details give the other concepts and the images; until then there is the best concept alone', () => {
  const layer = withFrames(emptyLayer('r', 'conv', listed), frames([-1, 4]));
  equal([topConcepts(layer, 1, 0), topImages(layer, 1, 0)], [[{ concept: 8, similarity: 0.5 }], []]);
  const detailed = withDetails(layer, { kind: 'layer', version: 1, step: 0, attrs: { steps: [4] }, arrays: {
    steps: f([1], Int32Array.of(4)), concept_ids: f([1, 1, 2], Int32Array.of(8, -1)), similarity: f([1, 1, 2], Float32Array.of(0.5, 0)), top_images: f([1, 1, 3], Int32Array.of(5, 6, -1)) } });
  equal([topConcepts(detailed, 1, 0), topImages(detailed, 1, 0)], [[{ concept: 8, similarity: 0.5 }], [5, 6]]);
});
test('a new listing keeps what is still true: a step logged anew is fetched again', () => {
  const layer = withFrames(emptyLayer('r', 'conv', listed), frames([-1, 4]));
  const grown = relisted(layer, { neurons: 1, steps: [-1, 4, 5], wall_times: [10, 21, 30] });
  equal([grown.loaded, grown.frames.map(Boolean), grown.spaces], [1, [true, false, false], ['a', '', '']]);
  equal(relisted(layer, { neurons: 2, steps: [4], wall_times: [20] }).loaded, 0);
});
test('frames can be let go', () => equal(keepOnly(makeLayer([[0], [0]]), (epoch) => epoch === 1, always).loaded, 1));
test('places are interpolated between steps, and taken from the other step where one has none', () => {
  const layer = makeLayer([[0, 0], [0, 0]], { positions: [0, 0, NaN, NaN, 2, 4, 9, 9] });
  equal(placeOf(layer, 0, 0.25), [0.5, 1]);
  equal(placeOf(layer, 1, 0.25), [9, 9]);
  equal(placeOf(layer, 0, 7), [2, 4]);
});
test('between two spaces nothing moves, it jumps half way', () => {
  const layer = makeLayer([[0], [0]], { spaces: ['a', 'b'] });
  equal(between(layer, 0.4), { before: 0, after: 0, share: 0 });
  equal(between(layer, 0.6), { before: 1, after: 1, share: 0 });
});
test('a label is the best concept only where it is interpretable', () => {
  const layer = makeLayer([[4, -1, null]]);
  equal([0, 1, 2].map((neuron) => labelOf(layer, 0, neuron)), [4, -1, -1]);
});
test('the reader\'s threshold takes the place of the logged one, for valid neurons', () => {
  const layer = makeLayer([[4, -1, null]]);
  equal([0, 1, 2].map((neuron) => isInterpretable({ ...layer, cut: 0.05 }, 0, neuron)), [true, true, false]);
  equal(isInterpretable({ ...layer, cut: 0.5 }, 0, 0), false);
});
test('the nearest drawn neuron is picked, none beyond the radius', () => {
  const layer = makeLayer([[0, 0]], { positions: [0, 0, 1, 0] });
  equal(pickNeuron(layer, 0, 0.8, 0, 0.5, always), 1);
  equal(pickNeuron(layer, 0, 0.8, 0, 0.9, (_, neuron) => neuron === 0), 0);
  equal(pickNeuron(layer, 0, 5, 5, 0.5, always), null);
  near(layer.steps.length, 1);
});
