// @ts-check
import { html, render } from '/plugin_static/lib.js';
import { formatHash } from '/plugin_static/host.js';
import { emptyRunData, keyOf, namesOf } from '/plugin_static/model/run.js';
import { byName, escapeXml, readable, wellFormed } from '/plugin_static/model/text.js';
import { hasRefused, locateImages } from '/plugin_static/model/images.js';
import { spaceFromContainer } from '/plugin_static/model/space.js';
import { equal, makeSpaceAnswer, ok, test } from './harness.js';

const TURN = '\u202e';

test('plain text stays as it is', () => {
  for (const text of ['', 'striped', 'a b\nc', 'ü, 日本, 🦓', '<b>"\'&']) equal(readable(text), text);
});
test('what nobody sees and what turns the text around is shown as a mark', () => {
  equal(readable(`a${TURN}b\u0000c\u200b\ud800\u2067`), 'a\ufffdb\ufffdc\ufffd\ufffd\ufffd');
  equal(wellFormed('a\ud800🦓'), 'a\ufffd🦓');
});
test('text from right to left is kept apart from its neighbours', () => {
  equal(readable('שלום 12'), '\u2068שלום 12\u2069');
});
test('every text of a template is readable, what is taken back from it is exact', () => {
  const host = document.createElement('div');
  const word = `x${TURN}y`;
  render(html`<p title=${word} data-word=${word}>${word}, ${[word, html`<b>${word}</b>`]}</p><input .value=${word} aria-label="of ${word}"><select><option value=${word}>${word}</option></select>`, host);
  const [p, input, option] = [host.querySelector('p'), host.querySelector('input'), host.querySelector('option')];
  equal([p?.title, p?.textContent, input?.getAttribute('aria-label'), option?.text], ['x\ufffdy', 'x\ufffdy, x\ufffdyx\ufffdy', 'of x\ufffdy', 'x\ufffdy']);
  equal([p?.dataset.word, input?.value, option?.value], [word, word, word]);
});
test('text in files is readable and cannot end what it is in', () => {
  equal(escapeXml(`</svg>${TURN}\u0000`), '&#60;/svg&#62;\ufffd\ufffd');
});
test('an address can be made of any text', () => {
  equal(formatHash('#conceptmon', { concept: 'a\ud800&p.conceptmon.run=b' }), '#conceptmon&p.conceptmon.concept=a%EF%BF%BD%26p.conceptmon.run%3Db');
});
test('nothing is found by a name that objects have of themselves', () => {
  const record = byName({ a: 1 }, JSON.parse('{"__proto__": 2}'));
  equal([record.a, record.__proto__, record.constructor, 'toString' in record], [1, 2, undefined, false]);
  equal(emptyRunData().layers.constructor, undefined);
});
test('a layer of a run has a key of its own whatever both are called', () => {
  ok(keyOf({ run: 'a\nb', layer: 'c' }) !== keyOf({ run: 'a', layer: 'b\nc' }), 'one key for two');
  equal(namesOf(keyOf({ run: 'a\nb', layer: 'c\u0000d' })), { run: 'a\nb', layer: 'c\u0000d' });
});
test('as many categories as words take no time, and few of them are told apart', () => {
  const names = Array.from({ length: 50000 }, (_, i) => `category ${i}`);
  const began = performance.now();
  const space = spaceFromContainer(/** @type {any} */ (makeSpaceAnswer(names, names)));
  ok(performance.now() - began < 2000, 'it took too long');
  ok(space.categories.length < 256 && space.words.length === 50000, 'too many categories');
  equal(space.categories[space.categoryOfWord[49999]].name, '');
});
test('pages that cannot be shown are known, so that their images are marked', () => {
  const tiles = locateImages([], [{ step: 3 }]);
  equal([hasRefused(tiles), tiles.size > 0, hasRefused(locateImages([{ step: 0, columns: 1, ids: [5] }]))], [true, true, false]);
});
