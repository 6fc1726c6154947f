// @ts-check
import { alertEvents, evidenceLines, holdingAt, inOrder, messageOf, nameOfRule, summariseAlerts, whenOf } from '/plugin_static/model/alerts.js';
import { equal, test } from './harness.js';

/** @param {Partial<import('../../../plugin_static/api.js').Alert>} [change] @returns {import('../../../plugin_static/api.js').Alert} */
const alert = (change = {}) => ({
  rule: 'dead_growing', layer: 'layer4', step: 20, severity: 'warning', message: 'layer4: neurons die', ended: null,
  evidence: { series: { silent: [[0, 0], [20, 9]] }, change: 9, needed: 2.4, noise: null }, ...change,
});

test('alerts are marks at their steps, those of other layers with the layer’s name', () => {
  const events = alertEvents([alert(), alert({ layer: 'a', message: 'a: b', step: 15, severity: 'critical' })], [0, 10, 20], 'layer4');
  equal(events, [{ kind: 'alert', index: 2, text: 'Neurons die' }, { kind: 'critical', index: 1.5, text: 'a: B' }]);
  equal(alertEvents([alert()], [], 'layer4'), []);
});
test('a layer’s name is left out only where it stands in front', () => {
  equal(messageOf(alert({ message: 'layer4 is named: layer4' })), 'Layer4 is named: layer4');
});
test('what holds comes first, then the worst, then the newest', () => {
  const list = [alert({ step: 1 }), alert({ step: 9, ended: 12, severity: 'critical' }), alert({ step: 2 }), alert({ step: 0, severity: 'critical' })];
  equal(inOrder(list).map(({ step }) => step), [0, 2, 1, 9]);
});
test('a few words say how many hold', () => {
  equal(summariseAlerts({ checked: [0], alerts: [] }), 'none at 1 logged step');
  equal(summariseAlerts({ checked: [0, 1], alerts: [alert()] }), 'holds');
  equal(summariseAlerts({ checked: [0, 1], alerts: [alert({ ended: 1 })] }), 'over');
  equal(summariseAlerts({ checked: [0, 1], alerts: [alert(), alert({ ended: 1 })] }), '1 of 2 hold');
  equal(summariseAlerts({ checked: [0, 1], alerts: [alert(), alert()] }), 'all hold');
  equal(summariseAlerts({ checked: [0, 1], alerts: [alert({ ended: 1 }), alert({ ended: 1 })] }), 'none holds any more');
  equal(whenOf(alert({ ended: 30 })), 'step 20, over at 30');
});
test('the evidence is told number by number', () => {
  equal(evidenceLines(alert()), [
    { name: 'neurons without signal', points: '0 at 0, 9 at 20' },
    { name: 'change', points: 'up by 9; 2.40 raises an alert' },
  ]);
  const noisy = alert({ evidence: { series: { other: [[3, null]] }, change: -0.5, needed: 0.25, noise: 0.125 } });
  equal(evidenceLines(noisy), [{ name: 'other', points: '– at 3' }, { name: 'change', points: 'down by 0.500; 0.250 raises an alert, noise 0.125' }]);
});
test('an alert holds from its step up to the step at which it was over', () => {
  const list = [alert({ step: 5, ended: 8 }), alert({ layer: 'other', step: 5 })];
  equal([4, 5, 7, 8].map((step) => holdingAt(list, 'layer4', step).length), [0, 1, 1, 0]);
});
test('a rule that is not known keeps its own name', () => equal(nameOfRule('a_new_rule'), 'a new rule'));
