// @ts-check
/** The panel of evolutions: for a class and two steps, which neurons' change matters, and what they were before and after. */
import { batch, computed, effect, html, nothing, render, signal } from '../../lib.js';
import { createPicker } from '../../charts/picker.js';
import { FEW, MOST, momentOf } from '../../model/evolutions.js';
import { counted, formatCount, shorten } from '../../model/format.js';
import { sameNeuron, slotsOf } from '../../model/neurons.js';
import { nearestIndex } from '../../model/steps.js';
import { keyOf } from '../../source.js';
import { mountGrid } from '../concepts/grid.js';
import { switchOf } from '../concepts/switch.js';
import { explain, explainMark } from '../explain.js';
import { icon } from '../icons.js';
import { createEvolutionAnswers } from './answers.js';
import { emptyEvolutions } from './empty.js';
import { evolutionRow } from './row.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('./answers.js').EvolutionAnswers} EvolutionAnswers */
/** @typedef {{class: import('../../charts/picker.js').Picker, pair: import('../../charts/picker.js').Picker}} Pickers */

/** @type {[import('../../model/evolutions.js').Order, string, string][]} */
const ORDERS = [
  ['most', 'Most important', 'The most important first: changes that raise the network’s answer for the class'],
  ['least', 'Least', 'The least important first: changes that lower it'],
];
const ROW = { images: 76, words: 60 };
/** Longer names of a log are shortened where they stand in a sentence. */
const MOST_LETTERS = 60;
/** Widths in px: of the columns that are no step's, of the gaps, of a picture. */
const FIXED = { digit: 9, neuron: 92, arrow: 12, gaps: 32, picture: 42 };

/** @param {HTMLElement} host @param {Store} store @param {import('../../api.js').Api} api @param {import('../../player.js').Player} player */
export function mountEvolutions(host, store, api, player) {
  const bar = Object.assign(document.createElement('div'), { className: 'evolutions-bar' });
  const grid = document.createElement('div');
  const told = Object.assign(document.createElement('div'), { className: 'concepts-told evolutions-told' });
  const empty = document.createElement('div');
  host.replaceChildren(bar, grid, told, empty);
  const isShown = computed(() => store.panel.value === 'evolutions');
  const answers = createEvolutionAnswers(store, api, isShown);
  const pickers = { class: createPicker('class-picker'), pair: createPicker('pair-picker') };

  const hasNone = computed(() => answers.listed.value !== null && answers.listed.value.pairs.length === 0);
  /** The answer shown: of the pair and class that are chosen, or the one before while the next is on its way. */
  const ranking = computed(() => {
    const { question, answer } = answers.ranking.value;
    const isRefused = answers.problem.value !== '' && answers.content.value === null;
    return question?.run === store.first.value.run && !isRefused ? answer : null;
  });
  const isStale = computed(() => {
    const [now, shown] = [answers.asked.value, ranking.value];
    return shown !== null && (now === null || now.from !== shown.from || now.to !== shown.to || now.class !== shown.class || now.layer !== shown.layer || now.order !== shown.order);
  });
  const rows = computed(() => (ranking.value ? ranking.value.evolutions.map((_, row) => row) : []));
  const slotOf = computed(() => slotsOf(store.space.value));
  const width = signal(0);
  new ResizeObserver(() => { if (grid.clientWidth) width.value = grid.clientWidth; }).observe(grid);
  /** The longest rank fits its column. */
  const rankWidth = computed(() => 4 + FIXED.digit * Math.max(2, ...(ranking.value?.evolutions ?? []).map(({ rank }) => String(rank).length)));
  const pictures = computed(() => Math.max(1, Math.round(((width.value - rankWidth.value - FIXED.neuron - FIXED.arrow - FIXED.gaps) / 2 + 3) / (FIXED.picture + 3))));

  const refOf = (/** @type {number} */ row) => {
    const evolution = ranking.peek()?.evolutions[row];
    const { run } = store.first.peek();
    return evolution ? { run, layer: evolution.layer, neuron: evolution.neuron } : null;
  };
  const note = signal('');
  /** Show the neuron on the map, with its layer where that is another one. @param {number} row */
  const choose = (row) => {
    const ref = refOf(row);
    if (!ref) return;
    const isLogged = store.layerNames.peek().includes(ref.layer);
    note.value = isLogged ? '' : `The run has no concepts of ${shorten(ref.layer, MOST_LETTERS)}: there is nothing to show on the map.`;
    if (isLogged) batch(() => {
      if (!store.sourceOf(keyOf(ref))) store.chooseLayer(ref.layer);
      store.focus.value = ref;
      store.chosenEvolution.value = ref;
    });
  };
  const goTo = (/** @type {number} */ step) => { if (store.steps.peek().length) player.jump(nearestIndex(store.steps.peek(), step)); };

  /** @param {number} row @returns {import('../concepts/grid.js').Row} */
  const rowOf = (row) => {
    const { run } = store.first.value;
    const shown = /** @type {import('../../model/evolutions.js').RankingAnswer} */ (ranking.value);
    const { layer, neuron, before, after } = shown.evolutions[row];
    const moments = { before: momentOf(before, store.threshold.value, slotOf.value), after: momentOf(after, store.threshold.value, slotOf.value) };
    const look = { tiles: store.data.value.tiles, pageOf: (/** @type {number} */ step) => api.imagePage(run, step), most: pictures.value };
    return { ...evolutionRow(shown, row, moments, look), isSelected: sameNeuron(store.focus.value, { run, layer, neuron }) };
  };
  const stepHead = (/** @type {string} */ when, /** @type {number | undefined} */ step) => html`<span role="columnheader" class="grid-cell">${step === undefined ? when
    : html`<button type="button" title="What the neuron detected at step ${formatCount(step)}. Click to go to this step." aria-current=${store.step.value === step ? 'step' : 'false'} @click=${() => goTo(step)}>${when}: step ${formatCount(step)}</button>`}</span>`;
  mountGrid(grid, {
    id: 'evolution', label: 'Evolutions by importance', isShown: computed(() => isShown.value && !hasNone.value), rows, rowOf,
    rowHeight: () => (store.data.value.tiles.size ? ROW.images : ROW.words),
    columns: () => `${rankWidth.value}px ${FIXED.neuron}px minmax(0, 1fr) ${FIXED.arrow}px minmax(0, 1fr)`,
    head: () => html`<span role="columnheader" class="grid-cell number" title="Rank: 1 for the most important">#</span>
      <span role="columnheader" class="grid-cell" aria-sort=${store.evolutionOrder.value === 'most' ? 'descending' : 'ascending'} title=${explain('importance')}>importance</span>
      ${stepHead('before', ranking.value?.from)}<span role="columnheader" class="grid-cell" aria-label="becomes"></span>${stepHead('after', ranking.value?.to)}`,
    onChoose: choose,
    onPoint: (row) => { store.pointedEvolution.value = row === null ? null : refOf(row); },
  });

  effect(() => {
    const none = hasNone.value;
    [bar, grid, told].forEach((element) => { element.hidden = none; });
    empty.hidden = !none;
    if (isShown.value && none) render(emptyEvolutions(store.first.value.run), empty);
  });
  let before = '';
  effect(() => {
    const now = answers.asked.value && JSON.stringify(answers.asked.value);
    // Another ranking begins at its top; whoever comes back to the panel finds the same place.
    if (!now || now === before) return;
    before = now;
    note.value = '';
    grid.scrollTop = 0;
  });
  effect(() => { grid.classList.toggle('stale', isStale.value); });
  effect(() => { if (isShown.value && !hasNone.value) render(toolsOf(store, answers, pickers), bar); });
  effect(() => { if (isShown.value && !hasNone.value) render(tellRanking(store, answers, ranking.value, note.value), told); });
}

/** @param {Store} store @param {EvolutionAnswers} answers @param {Pickers} pickers */
function toolsOf(store, { listed, pair, content, asked }, pickers) {
  const [pairs, now, table, wanted] = [listed.value, pair.value, content.value, asked.value];
  if (!pairs || !now) return nothing;
  const name = wanted?.class ?? '';
  const pairText = (/** @type {{from: number, to: number}} */ { from, to }) => `${formatCount(from)} → ${formatCount(to)}`;
  return html`<div class="concepts-tools">
      <span class="evolution-choice grow"><span class="mute">class</span>${pickers.class.template({
        button: html`<b>${name || '…'}</b>${icon('chevron')}`, label: `Class: ${name}`, title: 'The class that evolutions are ranked for', empty: 'This table has no classes',
        options: () => (table?.classes ?? []).map((one) => ({ value: one.name, label: one.name, note: counted(one.images, 'image') })),
        isChosen: (value) => value === name, choose: (value) => { store.evolutionClass.value = value; },
      })}</span>
      <span class="evolution-choice pair"><span class="mute">steps</span>${pickers.pair.template({
        button: html`<b>${pairText(now)}</b>${icon('chevron')}`, label: `Steps: ${pairText(now)}`, title: 'The two steps that are compared: those that the training script logged a table for',
        options: () => [...pairs.pairs].reverse().map((one) => ({ value: `${one.from},${one.to}`, label: pairText(one), note: one.from === now.from && one.to === now.to ? 'shown' : '' })),
        isChosen: (value) => value === `${now.from},${now.to}`, choose: (value) => { const [from, to] = value.split(',').map(Number); store.pair.value = [from, to]; },
      })}</span></div>
    <div class="concepts-tools">${switchOf('Which end of the ranking comes first', ORDERS, store.evolutionOrder)}<span class="grow"></span>
      <label class="choice base" title="Rank the neurons of one layer alone"><span>layer</span><span class="select"><select aria-label="Layer of the ranking" @change=${(/** @type {any} */ event) => { store.evolutionLayer.value = event.target.selectedIndex ? (table?.layers[event.target.selectedIndex - 1].name ?? null) : null; }}>
        <option .selected=${wanted?.layer === null}>all layers</option>${(table?.layers ?? []).map((one) => html`<option .selected=${one.name === wanted?.layer}>${one.name}</option>`)}</select>${icon('chevron')}</span></label></div>`;
}

/** @param {Store} store @param {EvolutionAnswers} answers @param {import('../../model/evolutions.js').RankingAnswer | null} ranking @param {string} note */
function tellRanking(store, { problem, again, listed, content }, ranking, note) {
  const trouble = problem.value;
  if (trouble) return html`<span class="warning" role="alert">${icon('warn')} ${trouble}.</span> <button type="button" class="text-button" @click=${again}>try again</button>`;
  if (!ranking) return html`<span class="mute" role="status">${content.value && !content.value.classes.length ? 'This table has no classes.' : 'Loading…'}</span>`;
  const focus = store.focus.value;
  const place = focus ? ranking.evolutions.findIndex(({ layer, neuron }) => layer === focus.layer && neuron === focus.neuron && focus.run === store.first.value.run) : -1;
  const count = store.evolutionCount.value;
  const shown = ranking.evolutions.length;
  const lost = store.evolutionClass.value !== null && store.evolutionClass.value !== ranking.class && content.value?.from === ranking.from && content.value.to === ranking.to;
  const openCard = () => {
    store.panel.value = 'neurons';
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector('.neuron-card .icon-button'))?.focus());
  };
  return html`<span role="status">${note || (place >= 0 && focus ? html`<b>Neuron ${focus.neuron}</b> is number ${formatCount(ranking.evolutions[place].rank)} of ${formatCount(ranking.total)}.`
    : html`${shown < ranking.total ? `${formatCount(shown)} of ` : ''}${counted(ranking.total, 'neuron')}, by the share of ${counted(ranking.images, 'image')} of “${shorten(ranking.class, MOST_LETTERS)}”`)}</span>
    ${note || place >= 0 ? nothing : explainMark('importance')}
    ${place >= 0 ? html`<button type="button" class="text-button strong" title="Everything about this neuron: images at every step, nearest neurons, other runs" @click=${openCard}>open card</button>` : nothing}
    ${shown < ranking.total && count < MOST ? html`<button type="button" class="text-button" @click=${() => { store.evolutionCount.value = MOST; }}>show ${formatCount(Math.min(MOST, ranking.total))}</button>`
      : count > FEW && shown > FEW ? html`<button type="button" class="text-button" @click=${() => { store.evolutionCount.value = FEW; }}>show ${FEW}</button>` : nothing}
    ${ranking.unranked ? html`<span class="mute" title=${explain('nonfinite')}>${formatCount(ranking.unranked)} without a rank</span>` : nothing}
    ${lost ? html`<span class="mute">These steps have no class “${shorten(store.evolutionClass.value ?? '', MOST_LETTERS)}”.</span>` : nothing}
    ${content.value?.left_out ? html`<span class="mute">${formatCount(content.value.left_out)} more classes or layers are not listed</span>` : nothing}
    ${listed.value?.left_out ? html`<span class="mute">${formatCount(listed.value.left_out)} more pairs of steps are not listed</span>` : nothing}`;
}
