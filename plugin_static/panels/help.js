// @ts-check
/** The help sheet: what one sees in three sentences, the keys, and every word explained. */
import { html, render, signal, effect } from '../lib.js';
import { GLOSSARY, GROUPS } from '../model/glossary.js';
import { icon, star } from './icons.js';

/** @type {[string[], string][]} */
const KEYS = [
  [['Space'], 'play or pause'],
  [['←', '→'], 'one step back or on'],
  [['PgUp', 'PgDn'], 'ten steps back or on'],
  [['Home', 'End'], 'first or last step'],
  [['1', '–', '9'], 'speed of playing'],
  [['L'], 'loop'],
  [['T'], 'follow the opened neuron with a trail'],
  [['P'], 'pin the opened neuron’s card'],
  [['/'], 'find a concept, an anchor or a neuron'],
  [['V', 'G', 'R'], 'move the map, lasso, rectangle'],
  [['Alt', '←↑↓→'], 'on the map: to the next neuron; Enter opens it'],
  [['Esc'], 'clear the selection, close the card'],
  [['Ctrl', 'Z'], 'undo the last change of the view'],
  [['?'], 'this sheet'],
];

const SEEN = [
  'Each dot is one neuron of the layer, placed near the words (concepts) whose pictures excite it; colours tell the kind of concept, hollow grey means no clear one, stars are words to watch.',
  'Press play: in a healthy training the dots leave the middle and spread over many words, first colours and textures, later objects and scenes; the number of interpretable neurons rises and d_anchor falls.',
  'In a poor training they stay clumped in the middle, few become interpretable, and d_anchor stays high: the badge beside the map’s title and the line above the charts say it in words.',
];

/**
 * @param {HTMLElement} body where the sheet is put
 * @returns {{open: () => void}}
 */
export function mountHelp(body) {
  const dialog = document.createElement('dialog');
  dialog.className = 'help';
  dialog.setAttribute('aria-labelledby', 'help-title');
  // The keys of time and map rest while it is open.
  dialog.dataset.ownKeys = '';
  body.append(dialog);
  const query = signal('');
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  effect(() => { render(sheet(query.value, (text) => { query.value = text; }, () => dialog.close()), dialog); });
  const open = () => {
    if (dialog.open) return;
    query.value = '';
    dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector('h1')?.focus();
  };
  document.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key !== '?' || event.ctrlKey || event.metaKey || target.closest('input:not([type="range"]), select, textarea, dialog')) return;
    event.preventDefault();
    open();
  });
  return { open };
}

/** @param {string} query @param {(text: string) => void} search @param {() => void} close */
const sheet = (query, search, close) => html`<div class="help-sheet">
  <header><span class="help-star">${star(20)}</span><h1 id="help-title" tabindex="-1">What you see here</h1>
    <button type="button" class="icon-button" aria-label="Close" title="Close" @click=${close}>${icon('close')}</button></header>
  <ol class="help-seen">${SEEN.map((sentence) => html`<li>${sentence}</li>`)}</ol>
  <h2>Keys</h2>
  <dl class="help-keys">${KEYS.map(([keys, does]) => html`<div><dt>${keys.map((key) => (key === '–' ? html`–` : html`<kbd>${key}</kbd>`))}</dt><dd>${does}</dd></div>`)}</dl>
  <div class="help-words"><h2>Words</h2><label class="help-find">${icon('search')}<input type="search" placeholder="Find a word" aria-label="Find a word" .value=${query}
      @input=${(/** @type {any} */ event) => search(event.target.value)}></label></div>
  ${groupsFor(query)}</div>`;

/** @param {string} query */
function groupsFor(query) {
  const wanted = query.trim().toLowerCase();
  const found = GROUPS.map(({ title, terms }) => ({ title, terms: terms.filter((term) => !wanted || `${GLOSSARY[term].name} ${GLOSSARY[term].text}`.toLowerCase().includes(wanted)) })).filter(({ terms }) => terms.length);
  if (!found.length) return html`<p class="mute">No word with “${query.trim()}” here.</p>`;
  return found.map(({ title, terms }) => html`<h3>${title}</h3><dl class="help-list">${terms.map((term) => html`<div><dt>${GLOSSARY[term].name}</dt><dd>${GLOSSARY[term].text}</dd></div>`)}</dl>`);
}
