// @ts-check
import { isInterpretable } from '../../../plugin_static/model/layer.js';
import { countAbove, originOf, similarityHistogram, thresholdScale } from '../../../plugin_static/model/threshold.js';
import { equal, makeLayer, ok, test } from './harness.js';

/** Similarities 0.1 (no concept) and 0.5 (a concept); one neuron is not valid. */
const layer = makeLayer([[0, -1, null], [0, 1, null]]);

test('the scale spans all steps and the logged thresholds, in round steps', () => {
  const scale = thresholdScale([layer], [0.35, null, 0.62]);
  ok(scale && scale.low <= 0.1 && scale.high >= 0.62 && scale.high < 0.64, `got ${JSON.stringify(scale)}`);
  ok(scale && [1, 2, 5].includes(Number(String(scale.step).replace(/[0.]/g, ''))), `a round step, got ${scale?.step}`);
});

test('a scale of one single value still has a length, and of none there is none', () => {
  const single = thresholdScale([makeLayer([[0]])], []);
  ok(single && single.high > single.low, `got ${JSON.stringify(single)}`);
  equal(thresholdScale([makeLayer([[null]])], [0.3]), null);
});

test('the histogram counts valid neurons only, each once', () => {
  const scale = { low: 0, high: 1, step: 0.01, digits: 2 };
  equal(similarityHistogram(layer, 0, scale, 4), [1, 0, 1, 0]);
  equal(similarityHistogram(layer, 1, scale, 4), [0, 0, 2, 0]);
});

test('counting above a threshold agrees with the cut of the layer, the threshold itself not included', () => {
  for (const cut of [0.05, 0.1, 0.3, 0.5]) {
    const cutLayer = { ...layer, cut };
    const byCut = [0, 1, 2].filter((neuron) => isInterpretable(cutLayer, 0, neuron)).length;
    equal(countAbove(layer, 0, cut), { above: byCut, valid: 2 });
  }
  equal(countAbove(layer, 1, 0.5).above, 0);
});

test('where the logged threshold comes from is told', () => {
  const metrics = (/** @type {any} */ part) => /** @type {any} */ (part);
  equal(originOf(metrics({ threshold: 4.27, threshold_level: 0.01 })), 'calibrated: 1% of noise passes');
  equal(originOf(metrics({ threshold: 0.3, threshold_level: null })), 'set in the training script');
  equal(originOf(undefined), 'as logged');
});
