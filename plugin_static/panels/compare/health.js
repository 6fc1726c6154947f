// @ts-check
/** The rule of thumb about a training, as a short badge and as a line that says why. */
import { effect, html, nothing, render } from '../../lib.js';
import { explainMark } from '../explain.js';
import { icon } from '../icons.js';
import { healthOf } from './columns.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../model/health.js').Health} Health */

/** @type {Record<Health['level'], 'check' | 'warn' | 'info'>} */
const ICONS = { healthy: 'check', poor: 'warn', watch: 'info', unclear: 'info' };

/** @param {Health} health */
const why = (health) => `${health.headline}: ${health.facts.join('; ')}.\n${health.rests}`;

/** In two words, the reasons on hover. @param {Health | null} health */
export const healthBadge = (health) => (health ? html`<span class="health-badge" data-level=${health.level} title=${why(health)}>${icon(ICONS[health.level])}<span>${health.headline.toLowerCase()}</span></span>` : nothing);

/** One line above the charts: how the first run fares, and why. @param {HTMLElement} host @param {Store} store */
export function mountHealth(host, store) {
  effect(() => {
    const health = store.sources.value.length ? healthOf(store, store.first.value) : null;
    host.hidden = health === null;
    render(health ? html`<p class="health" data-level=${health.level} title=${health.rests}>${icon(ICONS[health.level])}<span><b>${health.headline}:</b> ${health.facts.join('; ')}.</span>${explainMark('verdict')}</p>` : nothing, host);
  });
}
