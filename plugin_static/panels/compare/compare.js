// @ts-check
/** The panel that compares: in words, in numbers side by side, and concept by concept. */
import { effect, html, nothing, render } from '../../lib.js';
import { compareRows, compareVerdict, conceptChanges } from '../../model/compare.js';
import { counted, formatCount, shorten } from '../../model/format.js';
import { textOfCategory } from '../../model/glossary.js';
import { runRows } from '../../model/states.js';
import { MAX_COMPARED } from '../../store.js';
import { nameOf } from '../../map/names.js';
import { explain, explainMark } from '../explain.js';
import { icon } from '../icons.js';
import { sourceMark } from '../sourcemark.js';
import { columnOf, healthOf, strangers } from './columns.js';
import { healthBadge } from './health.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../source.js').Source} Source */
/** @typedef {import('../../model/compare.js').Column} Column */
/** @typedef {import('../../model/compare.js').Row} Row */

/** Runs and layers offered, and concepts written out, before "more". */
const MAX_PICKS = 8;
const MAX_WORDS = 14;

/** @param {HTMLElement} host @param {Store} store */
export function mountCompare(host, store) {
  effect(() => {
    // What is not looked at is not computed.
    if (store.panel.value !== 'compare') return;
    const all = store.sources.value;
    render(all.length > 1 ? comparison(store, all) : invitation(store), host);
  });
}

/** Nothing to compare yet: how, and with what. @param {Store} store */
function invitation(store) {
  const first = store.first.value;
  const runs = runRows(store.index.value?.runs ?? {}, [], first.name).filter(({ run, usable, hasLayer }) => usable && hasLayer && run !== first.run);
  const layers = store.layerNames.value.filter((name) => name !== first.name);
  return html`<div class="compare-intro"><h3>Compare runs or layers</h3>
    <p>Show up to ${MAX_COMPARED} more beside <b>${first.run || 'this run'}</b>. They move through time together, share the camera of the map, and what differs is listed here in words and numbers.</p>
    ${picks('The same layer in another run', runs.map(({ run }) => ({ label: run, shown: { run, layer: first.name } })), store)}
    ${picks('Another layer of this run', layers.map((layer) => ({ label: layer, shown: { run: first.run, layer } })), store)}
    ${runs.length || layers.length ? nothing : html`<p class="mute">There is nothing else in this log directory yet: log a second run beside it, or more layers.</p>`}
    <p class="hint">The time axis can follow a scalar such as accuracy: then runs are compared where they are equally far, not after equally many steps.</p></div>`;
}

/** @param {string} title @param {{label: string, shown: import('../../source.js').Shown}[]} offers @param {Store} store */
const picks = (title, offers, store) => (offers.length ? html`<h4>${title}</h4><div class="picks">
  ${offers.slice(0, MAX_PICKS).map(({ label, shown }) => html`<button type="button" class="pick" title="Compare with ${label}" @click=${() => store.toggleCompared(shown)}>${icon('plus')}<span>${shorten(label, 40)}</span></button>`)}
  ${offers.length > MAX_PICKS ? html`<span class="mute">${counted(offers.length - MAX_PICKS, 'more run')} in the chooser at the top</span>` : nothing}</div>` : nothing);

/** @param {Store} store @param {Source[]} all */
function comparison(store, all) {
  const columns = all.map((source) => columnOf(store, source));
  const known = /** @type {Column[]} */ (columns.filter((column) => column !== null));
  const categories = store.space.value?.categories ?? [];
  return html`<div class="compare">
    ${spaceNotice(store)}
    ${columns[0] ? all.slice(1).map((_, i) => { const other = columns[i + 1]; return other ? verdict(/** @type {Column} */ (columns[0]), other, i + 1) : nothing; }) : nothing}
    ${known.length === all.length ? table(store, all, known, compareRows(known, categories)) : html`<p class="hint" role="status">Reading the steps to compare…</p>`}
    ${columns[0] ? all.slice(1).map((_, i) => { const other = columns[i + 1]; return other ? concepts(store, /** @type {Column} */ (columns[0]), other, i + 1) : nothing; }) : nothing}</div>`;
}

/** @param {Store} store */
function spaceNotice(store) {
  const found = strangers(store);
  if (!found.length) return nothing;
  return html`<section class="space-notice" aria-label="Different concept spaces"><p>${icon('warn')}<b>Different concept spaces</b> ${explainMark('concept_space')}</p>
    ${found.map(({ source, differences }) => html`<p>${nameOf(store, source)} and ${nameOf(store, store.first.value)} differ in ${differences.length ? differences.map(({ text }) => text).join('; ') : 'their concept space'}.</p>`)}
    <p>So they are not laid over each other: a place on one map means nothing on the other. Concepts by name and counts can still be compared.</p></section>`;
}

/** @param {Column} first @param {Column} other @param {number} place */
function verdict(first, other, place) {
  const { tone, headline, facts, caveats } = compareVerdict(first, other);
  return html`<section class="verdict" data-tone=${tone}><h3>${sourceMark(place)}<span>${headline}</span>${explainMark('verdict')}</h3>
    ${facts.length ? html`<ul>${facts.map((fact) => html`<li>${fact}</li>`)}</ul>` : html`<p class="mute">Anchor distance, interpretable and dead neurons differ by little.</p>`}
    ${caveats.map((caveat) => html`<p class="caveat">${caveat}</p>`)}</section>`;
}

/** @param {Store} store @param {Source[]} all @param {Column[]} columns @param {Row[]} rows */
function table(store, all, columns, rows) {
  const slots = new Map((store.space.value?.categories ?? []).map(({ name, slot }) => [name, slot]));
  return html`<div class="compare-scroll" tabindex="0" role="region" aria-label="Numbers side by side"><table class="compare-table"><caption class="visually-hidden">Numbers at the shared place of the time axis</caption>
    <thead><tr><td></td>${all.map((source, i) => html`<th scope="col" title="${source.run} · ${source.name}">${sourceMark(i)}<span class="column-name">${shorten(source.run, all.length > 3 ? 11 : all.length > 2 ? 14 : 20)}</span>
      <span class="column-step">${shorten(source.name, 14)}</span><span class="column-step">step ${formatCount(columns[i].step)}</span></th>`)}</tr></thead>
    <tbody><tr><th scope="row"><span title=${explain('verdict')}>training</span></th>${all.map((source) => html`<td class="health-cell">${healthBadge(healthOf(store, source))}</td>`)}</tr>
      ${rows.map((row) => html`<tr class=${row.category === undefined ? '' : 'category-row'}><th scope="row" title=${row.category === undefined ? (row.term ? explain(row.term) : '') : textOfCategory(row.category)}>${row.category === undefined ? nothing : html`<i class="dot slot-${slots.get(row.category) ?? 'none'}"></i>`}<span data-explain=${row.term ?? nothing}>${row.label}</span></th>
        ${columns.map((column, i) => cell(row, i, column, slots))}</tr>`)}</tbody></table></div>
    <p class="table-key mute"><span class="mark-best">✓</span> best and <span class="mark-worst">!</span> worst where the difference is more than 3%${store.threshold.value === null ? '' : '; interpretable neurons are counted at your threshold'}</p>`;
}

/** @param {Row} row @param {number} i @param {Column} column @param {Map<string, number>} slots */
function cell(row, i, column, slots) {
  const share = row.category === undefined ? null : (column.categories.get(row.category) ?? 0) / Math.max(1, column.neurons);
  return html`<td class=${row.best[i] ? 'best' : row.worst[i] ? 'worst' : ''}>${row.best[i] ? html`<span class="mark-best" title="best">✓<span class="visually-hidden">best: </span></span>` : row.worst[i] ? html`<span class="mark-worst" title="worst">!<span class="visually-hidden">worst: </span></span>` : nothing}
    <b>${row.texts[i]}</b> ${row.details[i] ? html`<span class="mute">${row.details[i]}</span>` : nothing}
    ${share === null ? nothing : html`<span class="share-bar"><i class="slot-${slots.get(row.category ?? '') ?? 'none'}" style="width:${(100 * share).toFixed(1)}%"></i></span>`}</td>`;
}

/** @param {Store} store @param {Column} first @param {Column} other @param {number} place */
function concepts(store, first, other, place) {
  const { gained, lost, more } = conceptChanges(first, other);
  return html`<section class="concept-changes"><h3>${sourceMark(place)}<span>Concepts of ${other.name} beside ${first.name}</span></h3>
    ${wordList(store, 'only there', `Concepts that ${other.name} has and ${first.name} has not`, gained.map(({ word, count }) => ({ word, text: formatCount(count) })))}
    ${wordList(store, 'missing', `Concepts that ${first.name} has and ${other.name} has not`, lost.map(({ word, count }) => ({ word, text: formatCount(count) })))}
    ${wordList(store, 'in both', 'Concepts that both have, with how many neurons', more.map(({ word, from, to }) => ({ word, text: `${formatCount(from)} → ${formatCount(to)}` })))}</section>`;
}

/** Words with counts; a click brings their neurons out in all views. @param {Store} store @param {string} title @param {string} told @param {{word: string, text: string}[]} words */
function wordList(store, title, told, words) {
  const chip = (/** @type {{word: string, text: string}} */ { word, text }) => html`<button type="button" class="word-chip" aria-pressed=${String(store.concept.value === word)} title="Bring out the neurons of “${word}”"
    @click=${() => { store.concept.value = store.concept.peek() === word ? null : word; }}>${word} <span class="mute">${text}</span></button>`;
  return html`<div class="word-list"><h4 title=${told}>${title} <span class="mute">${formatCount(words.length)}</span></h4>
    <div class="words-of">${words.length ? words.slice(0, MAX_WORDS).map(chip) : html`<span class="mute">none</span>`}
      ${words.length > MAX_WORDS ? html`<details class="more-words"><summary>${counted(words.length - MAX_WORDS, 'more word')}</summary><div class="words-of">${words.slice(MAX_WORDS).map(chip)}</div></details>` : nothing}</div></div>`;
}

/** Maps of different concept spaces are never laid over each other: a place on one means nothing on the other. @param {Store} store */
export function keepSpacesApart(store) {
  effect(() => { if (store.layout.value === 'overlay' && strangers(store).length) store.layout.value = 'side'; });
}
