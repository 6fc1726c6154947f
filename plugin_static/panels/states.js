// @ts-check
/** What the tab says about the state of its data: notices in the captions of the maps, and the progress of loading. */
import { effect, html, nothing, render, signal } from '../lib.js';
import { calm } from '../map/calm.js';
import { formatNumber } from '../model/format.js';
import { KIND } from '../model/paint.js';
import { describeProblem, judgeAge, loadingProgress, noticesOf } from '../model/states.js';
import { byName } from '../model/text.js';
import { healthOf, strangers } from './compare/columns.js';
import { healthBadge } from './compare/health.js';
import { explain } from './explain.js';
import { icon } from './icons.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('../model/states.js').Notice} Notice */

/** How often ages are told anew. */
const CLOCK_MS = 15000;
/** Loading that is over sooner is not worth a bar, and one that stands still is done: not all fits into memory. */
const PATIENCE_MS = 350;
const STALLED_MS = 4000;
/** Notices of the quiet kind written out, before "more". */
const MAX_QUIET = 2;

const clock = signal(Date.now());
setInterval(() => { clock.value = Date.now(); }, CLOCK_MS);

/** When the present problem began. */
const since = signal(0);

/** Above this many neurons a summary is work: it then follows time with pauses. */
const MANY = 20000;

/**
 * What the caption of a map says beside the numbers: how the training fares, how old it is, and all notices.
 * @param {Store} store @param {() => Source | undefined} sourceNow
 */
export function followStates(store, sourceNow) {
  return calm(() => {
    const source = sourceNow();
    void [store.index.value, store.threshold.value, store.hidden.value, store.concept.value, store.sources.value, clock.value];
    if (!source) return false;
    void [store.focus.value, store.pinned.value, source.data.value, source.layer.value, source.epoch.value, source.spaceAt.value, source.metrics.value, source.selection.value];
    return (source.layer.value?.neurons ?? 0) > MANY;
  }, () => {
    const source = sourceNow();
    if (!source) return null;
    const situation = situationOf(store, source);
    return { isFirst: source === store.first.value, health: healthOf(store, source), age: situation.age, notices: noticesOf(situation) };
  });
}
/** @typedef {ReturnType<typeof followStates>['value']} States */

/** @param {Store} store @param {Source} source */
function situationOf(store, source) {
  const index = store.index.value?.runs[source.run] ?? null;
  const paint = source.paint.value;
  const summary = source.summary.value;
  const filtered = store.hidden.value.size > 0 || store.concept.value !== null || source.selection.value !== null;
  const kinds = filtered && paint && summary ? paint.at(source.epoch.value).kind : null;
  const wallTimes = source.wallTimes.value;
  const note = noteOf(store, source);
  return {
    index, layer: source.name, gone: source.layer.value !== null && !(source.name in (index?.layers ?? byName())), note: source !== store.first.value && note === noteOf(store, store.first.value) ? '' : note, summary,
    threshold: store.threshold.value, logged: source.metricsNow.value?.threshold ?? null,
    drawn: kinds && kinds.reduce((sum, kind) => sum + Number(kind === KIND.FULL || kind === KIND.FAINT), 0),
    lacksImages: (store.focus.value?.run === source.run || store.pinned.value.some(({ run }) => run === source.run)) && source.space.value !== null && source.data.value.tiles.size === 0,
    age: judgeAge(wallTimes, index?.newest_wall_time ?? wallTimes[wallTimes.length - 1] ?? NaN, clock.value / 1000),
  };
}

/** What the log says about itself. @param {Store} store @param {Source} source */
const noteOf = (store, source) => store.index.value?.runs[source.run]?.note || source.space.value?.note || '';

/** Beside the name over a map: how the training fares, and how old it is. @param {States} states */
export const captionMarks = (states) => (states ? html`${healthBadge(states.health)}${states.age.kind === 'old' ? html`<span class="caption-age mute">${states.age.text}</span>` : nothing}` : nothing);

/** All there is to say about a source, under the name over its map. @param {Store} store @param {States} states */
export function stateNotices(store, states) {
  if (!states) return nothing;
  const loud = states.notices.filter(({ level }) => level === 'warn');
  const quiet = states.notices.filter(({ level }) => level === 'info');
  const rest = quiet.slice(MAX_QUIET);
  return html`${states.isFirst ? html`${problemNotice(store)}${spaceNotice(store)}` : nothing}${loud.map((notice) => line(store, notice))}${quiet.slice(0, MAX_QUIET).map((notice) => line(store, notice))}
    ${rest.length ? html`<details class="notice"><summary>${icon('info')}<span>${rest.length} more</span></summary><ul>${rest.map(({ text }) => html`<li>${text}</li>`)}</ul></details>` : nothing}`;
}

/** Maps that cannot be laid over each other, in one line; the panel says more. @param {Store} store */
function spaceNotice(store) {
  const found = strangers(store);
  if (!found.length) return nothing;
  const told = found.map(({ source, differences }) => `${source.run}: ${differences.map(({ text }) => text).join('; ')}`).join('\n');
  return html`<p class="notice warn" data-notice="spaces" title=${`A place on one map means nothing on the other, so they are not overlaid and each has a camera of its own.\n${told}`}>${icon('warn')}<span>Different concept spaces</span>
    <button type="button" class="text-button" @click=${() => { store.panel.value = 'compare'; }}>what differs</button></p>`;
}

/** @param {Store} store */
function problemNotice(store) {
  if (!store.problem.value) return nothing;
  const text = describeProblem(store.problem.value, since.value, clock.value);
  return html`<p class="notice warn" role="status" data-notice="problem" title=${text}>${icon('warn')}<span>${text}</span></p>`;
}

/** @param {Store} store @param {Notice} notice */
function line(store, { id, level, text, more, action, title }) {
  const tone = level === 'warn' ? 'notice warn' : 'notice';
  const told = title ?? (id === 'sampled' ? explain('sampled') : text);
  if (more?.length) return html`<details class=${tone} data-notice=${id}><summary title=${told}>${icon(level)}<span>${text}</span></summary><ul>${more.map((one) => html`<li>${one}</li>`)}</ul></details>`;
  return html`<p class=${tone} data-notice=${id} title=${told}>${icon(level)}<span>${text}</span>${action ? mend(store, action) : nothing}</p>`;
}

/** @param {Store} store @param {import('../model/states.js').Action} action */
function mend(store, action) {
  if (action === 'clear filters') return html`<button type="button" class="text-button" @click=${() => clearFilters(store)}>clear filters</button>`;
  const logged = store.first.value.metricsNow.value?.threshold;
  return html`<button type="button" class="text-button" @click=${() => { store.threshold.value = null; }}>reset${logged === null || logged === undefined ? '' : ` to ${formatNumber(logged)}`}</button>`;
}

/** Show every neuron again. @param {Store} store */
export function clearFilters(store) {
  store.hidden.value = new Set();
  store.concept.value = null;
  store.clearSelection();
}

/**
 * A thin bar over the map while steps arrive, and a skeleton before the first one does.
 * @param {HTMLElement} well @param {Store} store
 */
export function mountStates(well, store) {
  effect(() => { if (store.problem.value) since.value ||= Date.now(); else since.value = 0; });
  const host = document.createElement('div');
  host.className = 'loading-steps';
  well.append(host);
  const visible = signal(false);
  let began = 0;
  let timer = 0;
  effect(() => {
    const all = store.sources.value.map(({ layer }) => layer.value);
    const { loaded, total } = loadingProgress(all);
    clearTimeout(timer);
    if (!total || loaded >= total) { began = 0; visible.value = false; return; }
    began ||= Date.now();
    if (Date.now() - began > PATIENCE_MS) visible.value = true;
    else timer = setTimeout(() => { visible.value = true; }, PATIENCE_MS);
    setTimeout(() => { if (loadingProgress(store.sources.peek().map(({ layer }) => layer.peek())).loaded === loaded) visible.value = false; }, STALLED_MS);
  });
  effect(() => {
    const all = store.sources.value.map(({ layer }) => layer.value);
    const { loaded, total, text } = loadingProgress(all);
    const empty = store.sources.value.length > 0 && !all[0]?.loaded && !store.problem.value;
    render(html`${empty ? skeleton : nothing}
      ${visible.value && loaded > 0 ? html`<div class="progress" role="progressbar" aria-label="Loading steps" aria-valuemin="0" aria-valuemax=${total} aria-valuenow=${loaded} aria-valuetext=${text}><i style="width:${((100 * loaded) / total).toFixed(1)}%"></i></div>
        <p class="progress-text">${text}</p>` : nothing}`, host);
  });
}

/** Places of dots that stand for neurons, in percent of the map. */
const DOTS = Array.from({ length: 42 }, (_, i) => [50 + 34 * Math.cos(2.4 * i) * Math.sqrt(i / 42), 52 + 34 * Math.sin(2.4 * i) * Math.sqrt(i / 42)]);
const skeleton = html`<div class="skeleton" aria-hidden="true">${DOTS.map(([x, y]) => html`<i style="left:${x.toFixed(1)}%;top:${y.toFixed(1)}%"></i>`)}</div>`;
