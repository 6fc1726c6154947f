// @ts-check
/** A choice among a few names side by side, one stop for the Tab key. */
import { html } from '../../lib.js';

/**
 * @template {string} T
 * @param {string} name of the choice @param {[T, string, string][]} choices name, label, explanation @param {import('../../lib.js').Signal<T>} chosen
 */
export function switchOf(name, choices, chosen) {
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const to = (choices.findIndex(([value]) => value === chosen.peek()) + by + choices.length) % choices.length;
    const buttons = /** @type {HTMLElement} */ (event.currentTarget).querySelectorAll('button');
    [chosen.value] = choices[to];
    buttons[to].focus();
  };
  return html`<div class="switch" role="radiogroup" aria-label=${name} @keydown=${onKey}>
    ${choices.map(([value, label, explanation]) => html`<button type="button" role="radio" title=${explanation} aria-checked=${String(chosen.value === value)}
      tabindex=${chosen.value === value ? 0 : -1} @click=${() => { chosen.value = value; }}>${label}</button>`)}</div>`;
}
