// @ts-check
import { formatHash, parseHash } from '/plugin_static/host.js';
import { parseHex, rampColor } from '/plugin_static/theme.js';
import { equal, test } from './harness.js';

test('our state is read from the address, others\' is left alone', () => {
  equal(parseHash('#conceptmon&p.conceptmon.run=a%2Fb%26c&p.other.x=1&p.conceptmon.step=-1'), { run: 'a/b&c', step: '-1' });
});
test('a broken escape is left out', () => equal(parseHash('#conceptmon&p.conceptmon.run=%E0%A4&p.conceptmon.layer=x'), { layer: 'x' }));
test('state written is state read', () => {
  const hash = formatHash('#conceptmon&p.other.x=1&p.conceptmon.run=old', { run: 'a=b&c', layer: 'l 4', step: undefined, tracked: '' });
  equal(hash, '#conceptmon&p.other.x=1&p.conceptmon.run=a%3Db%26c&p.conceptmon.layer=l%204');
  equal(parseHash(hash), { run: 'a=b&c', layer: 'l 4' });
});
test('colours are parsed and mixed along the ramp', () => {
  equal(parseHex(' #ff0033 '), [1, 0, 0.2]);
  equal(rampColor([[0, 0, 0], [1, 1, 1], [0, 0, 0]], 0.25), [0.5, 0.5, 0.5]);
});
