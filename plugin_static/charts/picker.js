// @ts-check
/** A list to choose from that can be searched: many runs log hundreds of scalars. */
import { html, nothing, signal } from '../lib.js';
import { formatCount } from '../model/format.js';
import { icon } from '../panels/icons.js';

/** @typedef {{value: string, label: string, note?: string}} Option */
/** @typedef {ReturnType<typeof createPicker>} Picker */

/** More than these are told by number only: whoever has more searches. */
const MOST_SHOWN = 80;

/** Options whose label holds all words of a query. @param {Option[]} options @param {string} query */
export function searchOptions(options, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return options.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
}

/** @param {string} id unique in the page */
export function createPicker(id) {
  const isOpen = signal(false);
  const query = signal('');
  const active = signal(0);

  const close = () => { isOpen.value = false; document.removeEventListener('pointerdown', dismiss); };
  const dismiss = (/** @type {Event} */ event) => { if (!document.getElementById(id)?.contains(/** @type {Node} */ (event.target))) close(); };
  const toggle = () => {
    if (isOpen.peek()) return close();
    query.value = '';
    active.value = 0;
    isOpen.value = true;
    document.addEventListener('pointerdown', dismiss);
    const field = /** @type {HTMLInputElement | null} */ (document.querySelector(`#${id} input`));
    if (field) field.value = '';
    field?.focus();
  };
  const back = () => { close(); /** @type {HTMLElement | null} */ (document.querySelector(`#${id} > button`))?.focus(); };

  /**
   * @param {object} what
   * @param {any} what.button its content
   * @param {string} what.label accessible name of button and list
   * @param {string} what.title
   * @param {() => Option[]} what.options
   * @param {(value: string) => boolean} what.isChosen
   * @param {(value: string) => void} what.choose
   * @param {boolean} [what.several] the list stays open for more
   * @param {string} [what.empty] what is said when there is nothing to choose
   */
  const template = ({ button, label, title, options, isChosen, choose, several = false, empty = 'Nothing of this name' }) => {
    const found = isOpen.value ? searchOptions(options(), query.value) : [];
    const shown = found.slice(0, MOST_SHOWN);
    const at = Math.min(active.value, shown.length - 1);
    const pick = (/** @type {string} */ value) => { choose(value); if (!several) back(); };
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (move && shown.length) active.value = (at + move + shown.length) % shown.length;
      else if (event.key === 'Enter' && shown[at]) pick(shown[at].value);
      else if (event.key === 'Escape') back();
      else if (event.key === 'Tab') return close();
      else return undefined;
      event.preventDefault();
      document.querySelector(`#${id} [data-active='true']`)?.scrollIntoView({ block: 'nearest' });
      return undefined;
    };
    return html`<span class="picker" id=${id}>
      <button type="button" class="picker-button" aria-haspopup="listbox" aria-expanded=${String(isOpen.value)} aria-label=${label} title=${title} @click=${toggle}>${button}</button>
      ${isOpen.value ? html`<div class="menu picker-menu">
        <label class="picker-search">${icon('search')}<input type="search" placeholder="Search" aria-label="Search: ${label}" role="combobox" aria-expanded="true" aria-autocomplete="list" aria-controls="${id}-list"
          aria-activedescendant=${at >= 0 ? `${id}-${at}` : ''} autocomplete="off" spellcheck="false"
          @input=${(/** @type {any} */ event) => { active.value = 0; query.value = event.target.value; }} @keydown=${onKey}></label>
        <ul id="${id}-list" role="listbox" aria-label=${label} aria-multiselectable=${String(several)}>${shown.map(({ value, label: text, note }, i) => html`
          <li role="option" id="${id}-${i}" aria-selected=${String(isChosen(value))} data-active=${String(i === at)} title=${text} @click=${() => pick(value)} @pointermove=${() => { active.value = i; }}>
            <i class="tick-mark" aria-hidden="true">${isChosen(value) ? icon('check') : nothing}</i><span class="menu-name">${text}</span>${note ? html`<span class="mute">${note}</span>` : nothing}</li>`)}</ul>
        ${found.length > shown.length ? html`<p class="picker-more mute">${formatCount(found.length - shown.length)} more: search to find them</p>` : nothing}
        ${found.length ? nothing : html`<p class="picker-more mute">${query.value ? 'Nothing of this name' : empty}</p>`}</div>` : nothing}</span>`;
  };
  return { template, isOpen };
}
