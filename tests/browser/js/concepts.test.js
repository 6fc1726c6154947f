// @ts-check
import { baseEpoch, changeAt, countAt, describeNeurons, lastSeen, neuronsWith, sortRows, tallyLayer } from '/plugin_static/model/concepts.js';
import { keepOnly, labelOf } from '/plugin_static/model/layer.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, ok, test } from './harness.js';

const space = spaceFromContainer(makeSpaceAnswer(['red', 'dog', 'garden', 'Ash'], ['color', 'object', 'scene', '']));
const at = () => space;
const table = [[0, 0, -1, null], [0, 1, 1, null], [1, 1, 1, 2]];

test('counts of every concept and step are those of a plain loop', () => {
  const layer = makeLayer(table);
  const tally = tallyLayer(layer, at);
  equal(tally.words, ['red', 'dog', 'garden']);
  equal(tally.categories.map(({ name }) => name), ['color', 'object', 'scene']);
  for (let epoch = 0; epoch < 3; epoch++) {
    for (const [word, row] of tally.rowOf) {
      let plain = 0;
      for (let neuron = 0; neuron < 4; neuron++) if (space.words[labelOf(layer, epoch, neuron)] === word) plain++;
      equal([word, epoch, countAt(tally, epoch, row)], [word, epoch, plain]);
    }
  }
  equal(tally.first, [0, 1, 2]);
  equal([...tally.rowOf.values()].map((row) => changeAt(tally, 2, 0, row)), [-2, 3, 1]);
});

test('many random labels are counted as by a plain loop', () => {
  const words = Array.from({ length: 50 }, (_, i) => `w${i}`);
  const many = spaceFromContainer(makeSpaceAnswer(words, words.map(() => 'object')));
  let seed = 1;
  const random = (/** @type {number} */ below) => { seed = (seed * 48271) % 2147483647; return seed % below; };
  const layer = makeLayer(Array.from({ length: 8 }, () => Array.from({ length: 300 }, () => (random(5) ? random(40) : random(2) ? -1 : null))));
  const tally = tallyLayer(layer, () => many);
  for (let epoch = 0; epoch < 8; epoch++) {
    words.forEach((word, concept) => {
      let plain = 0;
      for (let neuron = 0; neuron < 300; neuron++) if (labelOf(layer, epoch, neuron) === concept) plain++;
      const row = tally.rowOf.get(word);
      equal(row === undefined ? 0 : countAt(tally, epoch, row), plain);
    });
  }
});

test('a step that is not there is not zero but unknown, and is counted when it comes', () => {
  const whole = makeLayer(table);
  const part = keepOnly(whole, (epoch) => epoch === 2, () => true);
  const tally = tallyLayer(part, at);
  const row = /** @type {number} */ (tally.rowOf.get('dog'));
  ok(Number.isNaN(countAt(tally, 0, row)), 'unknown');
  equal([tally.counted, countAt(tally, 2, row)], [1, 3]);
  const more = tallyLayer(whole, at, tally);
  equal([more.counted, countAt(more, 1, row), more.first[row]], [3, 2, 1]);
  ok(more.counts[2] === tally.counts[2], 'what was counted is not counted again');
});

test('counts outlive the frames that were let go, but not another threshold', () => {
  const whole = makeLayer(table);
  const tally = tallyLayer(whole, at);
  const gone = keepOnly(whole, (epoch) => epoch === 0, () => true);
  equal(tallyLayer(gone, at, tally).counted, 3);
  equal(tallyLayer({ ...gone, cut: 0.4 }, at, tally).counted, 1);
});

test('a higher threshold leaves fewer neurons', () => {
  equal(tallyLayer({ ...makeLayer(table), cut: 0.6 }, at).words, []);
  equal(countAt(tallyLayer({ ...makeLayer(table), cut: 0.05 }, at), 0, 0), 3);
});

test('words are counted across concept spaces by name', () => {
  const other = spaceFromContainer(makeSpaceAnswer(['dog', 'red'], ['object', 'color']));
  other.fingerprint = 'other';
  const tally = tallyLayer(makeLayer([[0, 1], [0, 0]]), (epoch) => (epoch ? other : space));
  equal(tally.words, ['red', 'dog']);
  equal([0, 1].map((row) => [0, 1].map((epoch) => countAt(tally, epoch, row))), [[1, 0], [1, 2]]);
});

test('rows are sorted by value, equals by name, unknown ones last', () => {
  const tally = tallyLayer(makeLayer([[0, 1, 2, 3]]), at);
  const names = (/** @type {number[]} */ rows) => rows.map((row) => tally.words[row]);
  equal(names(sortRows(tally, [1, 2, 1, NaN], true, () => true)), ['dog', 'garden', 'red', 'Ash']);
  equal(names(sortRows(tally, [1, 2, 1, NaN], false, (row) => row !== 1)), ['garden', 'red', 'Ash']);
  equal(names(sortRows(tally, [0, 0, 0, 0], true, () => true)), ['Ash', 'dog', 'garden', 'red']);
});

test('the neurons of a word are found, and when it was last seen', () => {
  const layer = makeLayer(table);
  equal(neuronsWith(layer, at, 1, 'dog'), [1, 2]);
  equal(neuronsWith(layer, at, 1, 'nonsense'), []);
  const tally = tallyLayer(layer, at);
  equal([lastSeen(tally, 2, 0), lastSeen(tally, 0, 1), lastSeen(tally, 2, 1)], [1, 1, 2]);
});

test('a selection is told as in the thesis, a mixed one by its commonest concepts', () => {
  const layer = makeLayer(table);
  equal(describeNeurons(layer, at, 1, new Set([1, 2])), 'dog – 2 neurons');
  equal(describeNeurons(layer, at, 0, new Set([0, 1, 2, 3])), '4 neurons: 2 red, 1 no concept, 1 no signal');
  equal(describeNeurons(keepOnly(layer, () => false, () => false), at, 0, new Set([3])), '1 neuron');
});

test('changes are counted from the first, the previous or any step', () => {
  const steps = [-1, 0, 5, 10, 40];
  equal([baseEpoch('first', steps, 3), baseEpoch('previous', steps, 3), baseEpoch('previous', steps, 0), baseEpoch(5, steps, 4), baseEpoch(30, steps, 1)], [0, 2, 0, 2, 4]);
});
