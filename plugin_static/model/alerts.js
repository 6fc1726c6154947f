// @ts-check
/**
 * Alerts that were raised while a run was trained, as the log has them: the rules were looked at by the writer, and
 * are not judged again here. `RULE_TEXTS` says in the words of the tab what each rule asks for.
 */
import { formatCount, formatNumber } from './format.js';
import { indexOfStep } from './steps.js';

/** @typedef {import('../api.js').Alert} Alert */
/** @typedef {import('../api.js').AlertsAnswer} AlertsAnswer */
/** @typedef {import('./events.js').Event} Event */

/** @type {Record<string, {name: string, rule: string}>} */
export const RULE_TEXTS = {
  diversity_falling: { name: 'diversity falling', rule: 'Neurons lie closer together, or farther from the anchors, than at their best, for several steps in a row.' },
  entropy_falling: { name: 'entropy falling', rule: 'Neurons gather in fewer places of the map than at their best, for several steps in a row.' },
  anchor_distance_rising: { name: 'fewer concepts while the loss falls', rule: 'The anchor distance rises over several steps, far beyond its noise, while the training loss falls.' },
  interpretable_collapsing: { name: 'interpretable neurons lost', rule: 'Many of the neurons that were interpretable no longer are, at two steps in a row.' },
  dead_growing: { name: 'neurons without signal', rule: 'More neurons are dead, constant or not finite than before, at two steps in a row.' },
  concepts_frozen: { name: 'concepts frozen', rule: 'Training accuracy rises fast while neurons hardly change their concepts: a sign of overfitting.' },
};

/** What the series of an alert's evidence are called. @type {Record<string, string>} */
const SERIES_NAMES = {
  d_anchor: 'anchor distance', mean_pairwise_distance: 'mean pairwise distance', displacement: 'mean displacement', entropy: 'entropy of places',
  interpretable: 'interpretable neurons', silent: 'neurons without signal', nonfinite: 'neurons not finite', loss: 'training loss', accuracy: 'training accuracy',
};

/** A rule that a newer version knows has its own name for want of a better one. @param {string} rule */
export const nameOfRule = (rule) => RULE_TEXTS[rule]?.name ?? rule.replaceAll('_', ' ');
/** @param {string} rule */
export const textOfRule = (rule) => RULE_TEXTS[rule]?.rule ?? '';

/** What an alert says, without the name of its layer in front. @param {Alert} alert */
export function messageOf({ layer, message }) {
  const text = message.startsWith(`${layer}: `) ? message.slice(layer.length + 2) : message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Alerts as marks on the time line of a layer: those of the run's other layers too, with their layer's name.
 * @param {Alert[]} alerts @param {number[]} steps of the layer shown @param {string} layer @returns {Event[]}
 */
export function alertEvents(alerts, steps, layer) {
  if (!steps.length) return [];
  return alerts.map((alert) => ({
    kind: alert.severity === 'critical' ? 'critical' : 'alert',
    index: indexOfStep(steps, alert.step),
    text: alert.layer === layer ? messageOf(alert) : `${alert.layer}: ${messageOf(alert)}`,
  }));
}

/** Those that hold first, then the worst, then the newest. @param {Alert[]} alerts */
export const inOrder = (alerts) => [...alerts].sort((a, b) => Number(a.ended !== null) - Number(b.ended !== null) || Number(b.severity === 'critical') - Number(a.severity === 'critical') || b.step - a.step);

/** How many alerts there are, in a few words. @param {AlertsAnswer} answer */
export function summariseAlerts({ checked, alerts }) {
  if (!alerts.length) return `none at ${formatCount(checked.length)} logged ${checked.length === 1 ? 'step' : 'steps'}`;
  const holding = alerts.filter(({ ended }) => ended === null).length;
  if (alerts.length === 1) return holding ? 'holds' : 'over';
  if (holding === 0) return 'none holds any more';
  return holding === alerts.length ? 'all hold' : `${holding} of ${alerts.length} hold`;
}

/** Alerts of a layer that hold at a step. @param {Alert[]} alerts @param {string} layer @param {number} at */
export const holdingAt = (alerts, layer, at) => alerts.filter(({ layer: of, step, ended }) => of === layer && step <= at && (ended === null || ended > at));

/** When an alert was raised and whether it holds. @param {Alert} alert */
export const whenOf = ({ step, ended }) => `step ${formatCount(step)}${ended === null ? '' : `, over at ${formatCount(ended)}`}`;

/** The numbers that an alert rests on: one line for each series, and one for the rule. @param {Alert} alert @returns {{name: string, points: string}[]} */
export function evidenceLines({ evidence: { series, change, needed, noise } }) {
  const lines = Object.entries(series).map(([name, points]) => ({
    name: SERIES_NAMES[name] ?? name,
    points: points.map(([step, value]) => `${formatNumber(value)} at ${formatCount(step)}`).join(', '),
  }));
  const against = noise ? `, noise ${formatNumber(noise)}` : '';
  const moved = change === null ? '–' : `${change < 0 ? 'down' : 'up'} by ${formatNumber(Math.abs(change))}`;
  return [...lines, { name: 'change', points: `${moved}; ${formatNumber(needed)} raises an alert${against}` }];
}
