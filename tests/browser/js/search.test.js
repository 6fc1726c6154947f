// @ts-check
import { searchMatches } from '/plugin_static/model/search.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, ok, test } from './harness.js';

const space = { ...spaceFromContainer(makeSpaceAnswer(['striped', 'dog', 'hot dog', 'hotdog stand', 'Dogma', 'garden', 'red'], ['texture', 'object', 'object', 'scene', '', 'scene', 'color'])) };
const layer = makeLayer([[1, 1, 2, 4, 4, 4, -1, null]]);
const what = { space, layer, epoch: 0, layers: { l: 8, layer3: 40, conv17: 20 }, anchors: [{ word: 'Bulldog', x: 1, y: 2 }, { word: 'garden', x: 3, y: 4 }] };
const find = (/** @type {string} */ query) => Object.fromEntries(searchMatches(query, what).map(({ title, matches }) => [title, matches]));
const words = (/** @type {any[] | undefined} */ matches) => (matches ?? []).map(({ word }) => word);

test('the word itself comes first, then beginnings, then words inside, then parts', () => {
  equal(words(find('dog').Concepts), ['dog', 'Dogma', 'hot dog', 'hotdog stand']);
  equal(find('dog').Concepts.map((/** @type {any} */ { count }) => count), [2, 3, 1, 0]);
  equal(words(find('DOG').Anchors), ['Bulldog']);
});

test('a number is a neuron of the layer shown, with its concept', () => {
  for (const query of ['3', 'neuron 3', '#3', 'n3', 'Neuron3']) equal(find(query).Neurons, [{ type: 'neuron', layer: 'l', neuron: 3, word: 'Dogma', slot: 10 }]);
  equal(find('6').Neurons[0], { type: 'neuron', layer: 'l', neuron: 6, word: '', slot: -1 });
  equal(find('8').Neurons, undefined);
});

test('a layer before a number says where the neuron is', () => {
  equal(find('layer3:17').Neurons.map((/** @type {any} */ { layer: name, neuron }) => [name, neuron]), [['layer3', 17]]);
  equal(find('conv17 / 3').Neurons.map((/** @type {any} */ { layer: name }) => name), ['conv17']);
  equal(find('layer3:40').Neurons, undefined);
});

test('categories and other layers are found by their names', () => {
  equal(find('sce').Categories.map((/** @type {any} */ { label }) => label), ['scene']);
  equal(find('layer').Layers, [{ type: 'layer', layer: 'layer3', neurons: 40 }]);
});

test('any word that is no anchor yet can be added as one, spelt as the space spells it', () => {
  equal(find('zebra').Add, [{ type: 'add', word: 'zebra', isConcept: false }]);
  equal(find('  DOGMA').Add, [{ type: 'add', word: 'Dogma', isConcept: true }]);
  equal([find('Garden').Add, find('17').Add, find('x'.repeat(81)).Add], [undefined, undefined, undefined]);
});

test('nothing is found for nothing', () => {
  equal([searchMatches('  ', what), searchMatches('', what)], [[], []]);
});

test('twenty thousand words are searched within a keystroke', () => {
  const many = spaceFromContainer(makeSpaceAnswer(Array.from({ length: 20000 }, (_, i) => `word ${i} of many`), new Array(20000).fill('object')));
  const large = { ...what, space: many, layer: makeLayer([Array.from({ length: 10000 }, (_, i) => 2 * i)]) };
  searchMatches('wo', large);
  const started = performance.now();
  for (const query of ['w', 'wo', 'wor', 'word', 'word 1', 'word 19', 'many', '9 of', 'e', 'zzz']) searchMatches(query, large);
  const each = (performance.now() - started) / 10;
  ok(each < 50, `${each.toFixed(1)} ms each`);
});
