// @ts-check
import { GLOSSARY, GROUPS, textOf, textOfCategory } from '../../../plugin_static/model/glossary.js';
import { equal, ok, test } from './harness.js';

const entries = Object.entries(GLOSSARY);

test('every explanation is at most three short sentences and ends like one', () => {
  const wrong = entries.filter(([, { text }]) => !/[.)]$/.test(text) || text.split('. ').length > 3 || text.length > 210).map(([term]) => term);
  equal(wrong, []);
});

test('no name is explained twice', () => {
  const names = entries.map(([, { name }]) => name);
  equal(names.filter((name, i) => names.indexOf(name) !== i), []);
});

test('an explanation of one term does not lean on jargon of the thesis', () => {
  const jargon = /softmax|WPMI|UMAP|CLIP|Euclid|argmax|projection matrix|logit/i;
  equal(entries.filter(([, { text }]) => jargon.test(text)).map(([term]) => term), []);
});

test('the help sheet lists no term twice and only known ones', () => {
  const listed = GROUPS.flatMap(({ terms }) => terms);
  equal(listed.filter((term, i) => listed.indexOf(term) !== i || !(term in GLOSSARY)), []);
});

test('categories of the thesis have their own explanation, others a common one', () => {
  equal(textOfCategory('Texture'), textOf('texture'));
  equal(textOfCategory('colour'), textOf('color'));
  equal(textOfCategory('threshold'), textOf('category'));
  ok(textOfCategory('my own').includes('kind of a concept'), 'the common one');
});
