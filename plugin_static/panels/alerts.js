// @ts-check
/** The list of a run's alerts: what was found, when, on which numbers, and the way there. */
import { effect, html, nothing, render } from '../lib.js';
import { evidenceLines, inOrder, messageOf, nameOfRule, summariseAlerts, textOfRule, whenOf } from '../model/alerts.js';
import { formatCount } from '../model/format.js';
import { nearestIndex } from '../model/steps.js';
import { explainMark } from './explain.js';
import { icon } from './icons.js';
import { shape } from './marks.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../api.js').Alert} Alert */

const FOLD = 'alerts';

/** @param {HTMLElement} host @param {Store} store */
export function mountAlerts(host, store) {
  effect(() => {
    const answer = store.data.value.alerts;
    // A run that was logged without alerts says nothing about them.
    host.hidden = answer.checked.length === 0;
    const isOpen = answer.alerts.length > 0 && !store.folded.value.has(FOLD);
    render(host.hidden ? nothing : html`<section class="alerts" aria-label="Alerts">
      <header class="section-head"><h3>${answer.alerts.length ? html`<button type="button" class="fold" aria-expanded=${String(isOpen)} title=${isOpen ? 'Fold away' : 'Show'} @click=${() => toggle(store)}>${icon('chevron')}<span>Alerts</span></button>` : html`<span class="alerts-none">${icon('check')}<span>Alerts</span></span>`}</h3>
        ${explainMark('alert')}${answer.alerts.length ? html`<b>${answer.alerts.length}</b>` : nothing}<span class="mute">${summariseAlerts(answer)}</span></header>
      ${isOpen ? html`<ul class="alert-list">${inOrder(answer.alerts).map((alert) => row(store, alert))}</ul>` : nothing}</section>`, host);
  });
}

/** @param {Store} store */
function toggle(store) {
  const next = new Set(store.folded.peek());
  if (!next.delete(FOLD)) next.add(FOLD);
  store.folded.value = next;
}

/** @param {Store} store @param {Alert} alert */
const row = (store, alert) => html`<li class="alert-row" data-severity=${alert.severity} ?data-ended=${alert.ended !== null}>
  <button type="button" class="alert-go" title="${textOfRule(alert.rule)} Go to step ${formatCount(alert.step)} of ${alert.layer}" @click=${() => goTo(store, alert)}>${shape(alert.severity === 'critical' ? 'critical' : 'alert')}
    <span><b>${nameOfRule(alert.rule)}</b> <span class="mute">${alert.severity} · ${alert.layer} · ${whenOf(alert)}</span><span class="alert-message">${messageOf(alert)}.</span></span></button>
  <details class="alert-evidence"><summary>numbers</summary><dl>${evidenceLines(alert).map(({ name, points }) => html`<div><dt>${name}</dt><dd>${points}</dd></div>`)}</dl></details></li>`;

/** Show the step at which an alert was raised, in its layer. @param {Store} store @param {Alert} alert */
function goTo(store, { layer, step }) {
  store.playing.value = false;
  store.seek(nearestIndex(store.steps.peek(), step));
  // The step is kept while the layer changes.
  if (layer !== store.layerName.peek() && store.layerNames.peek().includes(layer)) store.chooseLayer(layer);
}
