// @ts-check
import { appendLayer, between, fillGaps, labelOf, layerFromContainer, pickNeuron, placeOf, topConcepts, topImages } from '/plugin_static/model/layer.js';
import { equal, makeLayer, near, test } from './harness.js';

const always = () => true;

test('a container becomes a layer', () => {
  const f = (/** @type {number[]} */ shape, /** @type {any} */ values) => ({ shape, values });
  const layer = layerFromContainer({ kind: 'layer', version: 1, step: 0, attrs: { layer: 'conv', space: ['a', 'b'] }, arrays: {
    steps: f([2], Int32Array.of(-1, 4)), flags: f([2, 1], Uint8Array.of(0, 3)), position: f([2, 1, 2], Float32Array.of(NaN, NaN, 3, 4)),
    concept_ids: f([2, 1, 2], Int32Array.of(-1, -1, 8, 9)), similarity: f([2, 1, 2], new Float32Array(4)), displacement: f([2, 1], new Float32Array(2)),
    top_images: f([2, 1, 3], Int32Array.of(-1, -1, -1, 5, 6, -1)) } });
  equal([layer.name, layer.neurons, layer.steps, layer.spaces, layer.topK, layer.images], ['conv', 1, [-1, 4], ['a', 'b'], 2, 3]);
  equal(layer.position, [3, 4, 3, 4]);
  equal(topImages(layer, 1, 0), [5, 6]);
  equal(topConcepts(layer, 0, 0), []);
});
test('gaps take the last known place, or the first that comes', () => {
  equal(fillGaps(Float32Array.of(NaN, NaN, 1, 2, NaN, NaN, 5, 6), 4, 1), [1, 2, 1, 2, 1, 2, 5, 6]);
  equal(fillGaps(Float32Array.of(NaN, NaN), 1, 1), [0, 0]);
});
test('places are interpolated between steps', () => {
  const layer = makeLayer([[0, 0], [0, 0]], { positions: [0, 0, 9, 9, 2, 4, 9, 9] });
  equal(placeOf(layer, 0, 0.25), [0.5, 1]);
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
test('the nearest drawn neuron is picked, none beyond the radius', () => {
  const layer = makeLayer([[0, 0]], { positions: [0, 0, 1, 0] });
  equal(pickNeuron(layer, 0, 0.8, 0, 0.5, always), 1);
  equal(pickNeuron(layer, 0, 0.8, 0, 0.9, (_, neuron) => neuron === 0), 0);
  equal(pickNeuron(layer, 0, 5, 5, 0.5, always), null);
});
test('later steps are appended, others refused', () => {
  const first = makeLayer([[1, 2]]);
  const more = appendLayer(first, makeLayer([[3, 4]], { steps: [1] }));
  equal([more?.steps, more?.concept, more?.position.length], [[0, 1], [1, 2, 3, 4], 8]);
  equal(appendLayer(first, makeLayer([[3, 4]], { steps: [0] })), null);
  equal(appendLayer(first, makeLayer([[3]], { steps: [1] })), null);
  near(first.steps.length, 1);
});
