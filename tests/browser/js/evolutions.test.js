// @ts-check
import { classShown, evolutionRows, isChanged, layerShown, momentOf, pairShown, signed } from '/plugin_static/model/evolutions.js';
import { slotsOf } from '/plugin_static/model/neurons.js';
import { toCsv } from '/plugin_static/model/table.js';
import { equal, test } from './harness.js';

const pair = (/** @type {number} */ from, /** @type {number} */ to) => ({ from, to, wall_time: 0 });
const table = { from: 0, to: 5, classes: [{ name: 'dog', images: 8 }, { name: 'cat', images: 9 }], layers: [{ name: 'layer3', neurons: 4 }], left_out: 0 };
const entry = { step: 5, valid: true, interpretable: true, word: 'dog', category: 'object', similarity: 0.4, concepts: [], top_images: [7, 2], top_patches: [[0, 0, 9, 9], null] };
const slotOf = slotsOf(null);

test('the pair that was chosen is shown, else the newest', () => {
  const pairs = [pair(-1, 0), pair(0, 5), pair(3, 5)];
  equal([pairShown(pairs, [0, 5]), pairShown(pairs, null), pairShown(pairs, [0, 3]), pairShown([], [0, 5])], [pairs[1], pairs[2], pairs[2], null]);
});
test('class and layer are those chosen where the table has them, or may have them', () => {
  equal([classShown(table, 'cat'), classShown(table, null), classShown(table, 'cow'), classShown({ ...table, classes: [] }, 'cow')], ['cat', 'dog', 'dog', null]);
  equal([layerShown(table, 'layer3'), layerShown(table, 'x'), layerShown(table, null)], ['layer3', null, null]);
  const long = { ...table, left_out: 3 };
  equal([classShown(long, 'cow'), layerShown(long, 'x'), classShown(long, null)], ['cow', 'x', 'dog']);
});
test('a moment has label, images and patches by the reader\'s threshold; none where nothing was logged', () => {
  const moment = momentOf(entry, null, slotOf);
  equal([moment?.label.word, moment?.label.interpretable, moment?.images], ['dog', true, [{ id: 7, patch: [0, 0, 9, 9] }, { id: 2, patch: null }]]);
  equal([momentOf(entry, 0.5, slotOf)?.label.interpretable, momentOf(null, null, slotOf)], [false, null]);
});
test('a neuron has changed where its clear concept is another one', () => {
  const of = (/** @type {string} */ word, interpretable = true) => momentOf({ ...entry, word, interpretable }, null, slotOf);
  equal([isChanged(of('dog'), of('cat')), isChanged(of('dog'), of('dog')), isChanged(of('dog', false), of('cat')), isChanged(of('dog', false), of('cat', false)), isChanged(null, of('cat'))],
    [true, false, true, false, false]);
});
test('a number has its sign', () => {
  equal([signed(0.42), signed(-0.42), signed(0), signed(null)], ['+0.420', '\u22120.420', '0', '–']);
});
test('exported rows say what was before and after, and no class is taken for a formula', () => {
  const row = { rank: 3, layer: 'layer3', neuron: 1, score: 0.75, positive: 6, sensitivity: 0.1, before: null, after: entry };
  const rows = evolutionRows('r', { from: 0, to: 5, class: '=1+1', images: 8, layer: null, order: 'most', total: 4, unranked: 0, evolutions: [row] });
  equal(toCsv(rows), 'run,from_step,to_step,class,rank,layer,neuron,score,positive,images,sensitivity,before_interpretable,before_word,before_category,before_similarity,after_interpretable,after_word,after_category,after_similarity\n'
    + "r,0,5,'=1+1,3,layer3,1,0.75,6,8,0.1,,,,,True,dog,object,0.4\n");
});
