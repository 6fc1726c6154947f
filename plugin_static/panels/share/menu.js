// @ts-check
/** A button with a menu, for mouse and keys (WAI-ARIA menu button), and the message about what was chosen. */
import { html, nothing } from '../../lib.js';
import { icon } from '../icons.js';

/** @typedef {{label: string, hint?: string, title: string, run: () => void, checked?: boolean, disabled?: boolean}} Item checked: an option that stays open */
/** @typedef {{label: string, items: Item[]}} Section */

/** @param {{sections: Section[], open: boolean, setOpen: (open: boolean) => void}} options */
export function menuButton({ sections, open, setOpen }) {
  const close = (/** @type {Element} */ inside) => {
    const button = /** @type {HTMLElement | null | undefined} */ (inside.closest('.share')?.querySelector('.share-button'));
    setOpen(false);
    button?.focus();
  };
  const onButtonKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    event.preventDefault();
    setOpen(true);
    const host = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.currentTarget).closest('.share'));
    queueMicrotask(() => { const items = itemsOf(host); items[event.key === 'ArrowDown' ? 0 : items.length - 1]?.focus(); });
  };
  const onButton = (/** @type {MouseEvent} */ event) => {
    const host = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.currentTarget).closest('.share'));
    setOpen(!open);
    // Opened by Enter or space: the keys go on in the menu.
    if (!open && event.detail === 0) queueMicrotask(() => itemsOf(host)[0]?.focus());
  };
  const onMenuKey = (/** @type {KeyboardEvent} */ event) => {
    const items = itemsOf(/** @type {HTMLElement} */ (event.currentTarget));
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = keyTarget(event.key, at, items.map(({ textContent }) => textContent ?? ''));
    if (event.key === 'Escape') { event.preventDefault(); event.stopPropagation(); close(/** @type {Element} */ (event.currentTarget)); }
    else if (event.key === 'Tab') setOpen(false);
    else if (to !== null) { event.preventDefault(); items[to].focus(); }
  };
  return html`<button type="button" class="share-button" aria-label="Share" aria-haspopup="menu" aria-expanded=${String(open)} aria-controls="share-menu" title="Link to this view, pictures, animations and tables of it"
      @click=${onButton} @keydown=${onButtonKey}>${icon('share')}<span>Share</span></button>
    ${open ? html`<div id="share-menu" class="menu share-menu" role="menu" aria-label="Share" data-own-keys @keydown=${onMenuKey}>
      ${sections.map((section) => html`<div role="group" aria-label=${section.label}><div class="share-heading" aria-hidden="true">${section.label}</div>
        ${section.items.map((item) => itemRow(item, close))}</div>`)}</div>` : nothing}`;
}

/** @param {Item} item @param {(inside: Element) => void} close */
function itemRow({ label, hint, title, run, checked, disabled }, close) {
  const choose = (/** @type {MouseEvent} */ event) => {
    if (disabled) return;
    if (checked === undefined) close(/** @type {Element} */ (event.currentTarget));
    run();
  };
  const option = checked !== undefined;
  return html`<button type="button" class="share-item ${option ? 'option' : ''}" role=${option ? 'menuitemcheckbox' : 'menuitem'} tabindex="-1" title=${title} aria-checked=${option ? String(checked) : nothing}
      aria-disabled=${String(Boolean(disabled))} @click=${choose}>${option ? html`<span class="share-check" aria-hidden="true">${checked ? icon('check') : nothing}</span>` : nothing}<span class="share-label">${label}</span>${hint ? html`<span class="share-hint">${hint}</span>` : nothing}</button>`;
}

/** @param {HTMLElement | null} host @returns {HTMLElement[]} */
const itemsOf = (host) => [.../** @type {NodeListOf<HTMLElement>} */ (host?.querySelectorAll('[role^="menuitem"]') ?? [])];

/**
 * Which item a key leads to: arrows round and round, the ends, or the next one that begins with a letter.
 * @param {string} key @param {number} at the item that has the focus, -1 for none @param {string[]} labels @returns {number | null}
 */
export function keyTarget(key, at, labels) {
  const count = labels.length;
  if (!count) return null;
  if (key === 'ArrowDown') return (at + 1) % count;
  if (key === 'ArrowUp') return at <= 0 ? count - 1 : at - 1;
  if (key === 'Home') return 0;
  if (key === 'End') return count - 1;
  if (key.length !== 1 || key === ' ') return null;
  for (let i = 1; i <= count; i++) if (labels[(Math.max(0, at) + i) % count].trim().toLowerCase().startsWith(key.toLowerCase())) return (Math.max(0, at) + i) % count;
  return null;
}

/** What is being made, how far it is, and what came of it. @param {import('./task.js').Task} task */
export function taskMessage({ state, cancel, dismiss }) {
  const now = state.value;
  // The live region stands before it is filled: only then is it read out.
  return html`<div class="share-status ${now ? '' : 'idle'} ${now?.tone ?? ''}">
    <div class="share-told" role="status" aria-live="polite">${now ? html`${now.tone === 'warn' ? icon('warn') : nothing}<span>${now.text}</span>` : nothing}</div>
    ${now?.running ? html`<progress aria-label="Progress" max="1" .value=${now.share ?? 0}></progress><button type="button" class="share-act" @click=${cancel}>Cancel</button>` : nothing}
    ${now?.detail ? html`<input class="share-detail" readonly aria-label="Link to this view" .value=${now.detail} @focus=${(/** @type {FocusEvent} */ event) => /** @type {HTMLInputElement} */ (event.target).select()}>` : nothing}
    ${now?.action ? html`<button type="button" class="share-act" title=${now.action.title ?? ''} @click=${now.action.run}>${now.action.label}</button>` : nothing}
    ${now && !now.running ? html`<button type="button" class="icon-button" aria-label="Close this message" title="Close this message" @click=${dismiss}>${icon('close')}</button>` : nothing}</div>`;
}
