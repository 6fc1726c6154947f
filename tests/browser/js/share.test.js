// @ts-check
import { csvCell, fileName, neuronRows, shortest, toCsv, toJson } from '/plugin_static/model/table.js';
import { keyTarget } from '/plugin_static/panels/share/menu.js';
import { makeLink } from '/plugin_static/panels/share/link.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeLayer, makeSpaceAnswer, ok, test } from './harness.js';

const space = spaceFromContainer(/** @type {any} */ (makeSpaceAnswer(['dog', '=1+1'], ['object', 'texture'])));

test('rows have the columns of the route export, places last', () => {
  const [row] = neuronRows(makeLayer([[1, -1, null]], { steps: [7] }), space, 0, 0.25);
  equal(row, { run: 'r', layer: 'l', step: 7, neuron: 0, valid: true, unknown: false, interpretable: true, word: '=1+1', category: 'texture', similarity: 0.5, displacement: null, threshold: 0.25, x: 0, y: 0 });
});
test('a neuron without a concept has its nearest word, one without a signal none', () => {
  const rows = neuronRows(makeLayer([[1, -1, null]]), space, 0, null);
  equal(rows.map(({ valid, interpretable, word, similarity, threshold }) => [valid, interpretable, word, similarity, threshold]),
    [[true, true, '=1+1', 0.5, null], [true, false, 'dog', 0.1, null], [false, false, '', null, null]]);
});
test('the reader\'s threshold decides what is interpretable', () => {
  const rows = neuronRows({ ...makeLayer([[1, -1]]), cut: 0.05 }, space, 0, 0.05);
  equal(rows.map(({ interpretable }) => interpretable), [true, true]);
});
test('only the neurons that are wanted', () => equal(neuronRows(makeLayer([[1, -1, 0]]), space, 0, null, (neuron) => neuron === 2).map(({ neuron }) => neuron), [2]));
test('numbers are spelt as shortly as 32 bits allow', () => equal([shortest(Math.fround(0.1)), shortest(Math.fround(1 / 3)), shortest(NaN), shortest(-3)], [0.1, 0.33333334, null, -3]));
test('text that a spreadsheet would run as a formula gets an apostrophe, numbers do not', () => {
  equal(['=1+1', '+1', '-x', '@a', '\t=1', '\uff1d1', 'a=1'].map(csvCell), ["'=1+1", "'+1", "'-x", "'@a", "'\t=1", "'\uff1d1", 'a=1']);
  equal(csvCell('\n=1'), '"\'\n=1"');
  equal([csvCell(-0.5), csvCell(null), csvCell(true)], ['-0.5', '', 'True']);
});
test('fields with commas, quotes or line ends are quoted', () => equal(['a,b', 'say "x"', 'two\nlines', ' edge'].map(csvCell), ['"a,b"', '"say ""x"""', '"two\nlines"', '" edge"']));
test('rows of layers with different depths of concepts share one header', () => {
  const text = toCsv([{ neuron: 0, word: 'a', x: 1, y: 2 }, { neuron: 1, word: 'b', word_2: 'c', x: 3, y: null }]);
  equal(text, 'neuron,word,word_2,x,y\n0,a,,1,2\n1,b,c,3,\n');
  equal(JSON.parse(toJson([{ neuron: 0, x: 1, y: null }], { run: 'r' })), { run: 'r', columns: ['neuron', 'x', 'y'], neurons: [{ neuron: 0, x: 1, y: null }] });
});
test('a file name keeps letters of all languages and nothing that a system minds', () => {
  equal(fileName(['../a b:c', 'läyer4', 'step3'], 'png'), 'a-b-c_läyer4_step3.png');
  equal(fileName(['<>'], 'csv'), 'concepts.csv');
  ok(fileName(['x'.repeat(500)], 'csv').length < 130, 'too long');
});
test('a link holds the state and leaves the rest of the address alone', () => {
  const { link, dropped } = makeLink('http://h:1/?darkMode=true#conceptmon&p.conceptmon.run=old&smoothing=1', { run: 'a b', layer: undefined });
  equal([link, dropped], ['http://h:1/?darkMode=true#conceptmon&smoothing=1&p.conceptmon.run=a%20b', []]);
});
test('a link that is too long loses the largest part first, and tells', () => {
  const { link, dropped } = makeLink('http://h/#conceptmon', { run: 'a', selection: 's'.repeat(9000), anchors: 'dog' });
  equal([link, dropped], ['http://h/#conceptmon&p.conceptmon.run=a&p.conceptmon.anchors=dog', ['the selection']]);
});
test('keys in the menu go round, to the ends, and to letters', () => {
  const labels = ['Copy link', 'Picture', 'Figure', 'Picture 2'];
  equal(['ArrowDown', 'ArrowUp', 'Home', 'End', 'p', 'x', ' '].map((key) => keyTarget(key, 1, labels)), [2, 0, 0, 3, 3, null, null]);
  equal([keyTarget('ArrowDown', 3, labels), keyTarget('ArrowUp', 0, labels), keyTarget('Home', 0, [])], [0, 3, null]);
});
