// @ts-check
/** Anchors edited live: any word gets a star, and d_anchor of the list is computed anew (thesis sections 2.1.2 and 2.1.3). */
import { computed, effect, html, nothing, render, signal } from '../lib.js';
import { meanDistance, orLogged, sameWord, spelling, suggestWords, withAnchor } from '../model/anchors.js';
import { counted, formatCount, formatNumber } from '../model/format.js';
import { explainMark } from './explain.js';
import { icon, star } from './icons.js';
import { createPlacing } from './placing.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('./placing.js').Placing} Placing */
/** @template T @typedef {import('../lib.js').Signal<T>} Signal */

const MOST_SUGGESTED = 4;
const FOOT_GAP = 16;

/** The anchors as they are now. @param {Store} store */
const listOf = (store) => store.editedAnchors.value ?? store.space.value?.anchors ?? [];

/** @param {Store} store @param {string[]} words */
const setAnchors = (store, words) => { store.editedAnchors.value = orLogged(words, store.space.peek()?.anchors ?? []); };

/** Make a word an anchor; one that the space does not have is asked of the encoder, and the editor tells how it fares. @param {Store} store @param {string} word */
export function addAnchor(store, word) {
  const space = store.space.peek();
  const text = word.trim().replace(/\s+/g, ' ');
  if (!space || !text) return;
  const known = spelling(space, text);
  setAnchors(store, withAnchor(store.editedAnchors.peek() ?? space.anchors, known ?? text));
  if (known === null) store.editingAnchors.value = true;
}

/**
 * @param {HTMLElement} host @param {Store} store @param {import('../api.js').Api} api @param {import('./concepts/distances.js').Distances} distances
 */
export function mountAnchors(host, store, api, distances) {
  const placing = createPlacing(store, api);
  keepDistance(store, distances);
  const text = signal('');
  const dialog = document.createElement('section');
  dialog.className = 'anchor-editor';
  dialog.hidden = true;
  for (const [name, value] of Object.entries({ role: 'dialog', 'aria-label': 'Anchors', 'data-own-keys': '' })) dialog.setAttribute(name, value);
  host.append(dialog);
  const field = () => /** @type {HTMLInputElement | null} */ (dialog.querySelector('input'));
  /** Where the focus was before. @type {Element | null} */
  let opener = null;
  const close = () => {
    store.editingAnchors.value = false;
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
  };
  const add = (/** @type {string} */ word) => {
    addAnchor(store, word);
    text.value = '';
    field()?.focus();
    dialog.querySelector('li:last-child')?.scrollIntoView({ block: 'nearest' });
  };
  const remove = (/** @type {string} */ word) => {
    setAnchors(store, listOf(store).filter((other) => other !== word));
    field()?.focus();
  };
  dialog.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });

  effect(() => {
    const isOpen = store.editingAnchors.value;
    if (isOpen && dialog.hidden) {
      opener = document.activeElement;
      queueMicrotask(() => field()?.focus());
    }
    dialog.hidden = !isOpen;
  });
  // Above the legend, however many lines that has.
  const foot = host.querySelector('#foot');
  if (foot) new ResizeObserver(() => { dialog.style.bottom = `${foot.clientHeight + FOOT_GAP}px`; }).observe(foot);
  effect(() => {
    // Why a word has no place must be seen, also at the end of a long list.
    if (Object.values(placing.value).some(({ state }) => state === 'failed')) queueMicrotask(() => dialog.querySelector('.anchor-why')?.scrollIntoView({ block: 'nearest' }));
  });
  effect(() => {
    if (!store.editingAnchors.value) return;
    const space = store.space.value;
    const words = listOf(store);
    const typed = text.value.trim();
    const suggested = space ? suggestWords(space.words, typed, MOST_SUGGESTED).filter((word) => !words.some((other) => sameWord(other, word))) : [];
    const isThere = words.some((word) => sameWord(word, typed));
    render(html`<header><h3>Anchors</h3>${explainMark('anchor')}<span class="grow"></span>
        <button type="button" class="icon-button" aria-label="Close" title="Close (Escape)" @click=${close}>${icon('close')}</button></header>
      <form @submit=${(/** @type {Event} */ event) => { event.preventDefault(); if (typed && !isThere) add(typed); }}>
        <input type="text" aria-label="Word to add" placeholder="Any word, such as zebra" maxlength="80" autocomplete="off" spellcheck="false" .value=${text.value} @input=${(/** @type {any} */ event) => { text.value = event.target.value; }}>
        <button type="submit" class="button" ?disabled=${!typed || isThere}>add</button></form>
      ${typed ? html`<p class="anchor-hint">${isThere ? 'This word is an anchor already.' : suggested.length ? html`In the concept set: ${suggested.map((word) => wordButton(word, () => add(word)))}` : 'Not in the concept set: its place is asked of the encoder that made the map.'}</p>` : nothing}
      <ul>${words.map((word) => rowOf(word, store, placing.value[word], remove, add))}</ul>
      ${words.length ? nothing : html`<p class="anchor-hint">No anchors: add words that the network should learn, or should not.</p>`}
      ${tellDistance(store, distances, () => { store.editedAnchors.value = null; field()?.focus(); })}`, dialog);
  });
}

/** @param {string} word @param {() => void} onClick */
const wordButton = (word, onClick) => html`<button type="button" class="word-button" title="Add “${word}”" @click=${onClick}>${word}</button>`;

/** @param {string} word @param {Store} store @param {Placing | undefined} state @param {(word: string) => void} remove @param {(word: string) => void} add */
function rowOf(word, store, state, remove, add) {
  const space = store.space.value;
  const isLogged = space?.anchors.includes(word);
  const told = state ? { loading: 'the encoder is loading…', busy: 'waiting for its turn…', failed: 'not placed' }[state.state]
    : isLogged ? 'as logged' : space && spelling(space, word) !== null ? 'concept' : store.typedPlaces.value[word] ? 'typed' : '…';
  const replace = (/** @type {string} */ other) => { remove(word); add(other); };
  return html`<li class=${state?.state ?? ''}><div class="anchor-row">${state ? html`<i class="anchor-wait"></i>` : star(13)}<span class="menu-name" title=${word}>${word}</span>
      <span class="mute" role=${state ? 'status' : 'none'} title=${state?.state === 'busy' ? state.reason : ''}>${told}</span>
      <button type="button" class="icon-button small" aria-label="Remove ${word}" title="Remove ${word}" @click=${() => remove(word)}>${icon('close')}</button></div>
    ${state?.state === 'failed' ? html`<p class="anchor-why" role="alert">${icon('warn')}<span>“${word}” has no place on the map: ${state.reason}.
      ${state.suggestions.length ? html` Instead: ${state.suggestions.map((other) => wordButton(other, () => replace(other)))}` : nothing}</span></p>` : nothing}</li>`;
}

/** d_anchor of the list at this step, and the way back to the logged one. @param {Store} store @param {import('./concepts/distances.js').Distances} distances @param {() => void} reset */
function tellDistance(store, distances, reset) {
  if (store.editedAnchors.value === null) return html`<footer><span class="mute">${counted(listOf(store).length, 'anchor')}, as logged</span></footer>`;
  const { key } = store.first.value;
  const here = store.editedDistance.value[key]?.find(({ step }) => step === store.step.value);
  const problem = distances.problems.value[key];
  const told = here ? html`mean distance <b>${formatNumber(here.value)}</b>, step ${formatCount(here.step)}` : problem ? html`<span class="warning">${problem}</span>` : store.anchors.value.length ? 'measuring distances…' : '';
  return html`<footer><span>${told}${here ? explainMark('d_anchor') : nothing}</span>
    <button type="button" class="text-button" title="The anchors as the training script set them" @click=${reset}>reset</button></footer>`;
}

/**
 * d_anchor of the edited anchors for every source with the same concept space: another one has other words.
 * @param {Store} store @param {import('./concepts/distances.js').Distances} distances
 */
function keepDistance(store, distances) {
  const words = computed(() => (store.editedAnchors.value === null ? [] : store.anchors.value.map(({ word }) => word)));
  const alike = computed(() => store.sources.value.filter((source) => source.space.value && source.space.value.fingerprint === store.space.value?.fingerprint));
  effect(() => { if (words.value.length) for (const source of alike.value) distances.want(source, words.value); });
  effect(() => {
    /** @type {Record<string, {step: number, value: number}[]>} */
    const next = {};
    if (words.value.length) for (const source of alike.value) {
      const series = words.value.map((word) => distances.of(source, word)?.all);
      if (series.every((one) => one !== undefined)) next[source.key] = meanDistance(series);
    }
    store.editedDistance.value = next;
  });
}
