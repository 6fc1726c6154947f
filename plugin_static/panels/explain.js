// @ts-check
/**
 * Explanations of words and numbers: as the text of a title, as a small “?” mark, or on any element that carries
 * `data-explain`. One tooltip serves all; it lies above everything and inside the window, so it is never cut off.
 */
import { html, render } from '../lib.js';
import { GLOSSARY, nameOfTerm, textOf } from '../model/glossary.js';

/** @typedef {import('../model/glossary.js').Term} Term */

const TIP_ID = 'explanation';
/** Pixels between the tooltip and what it explains, and the edge of the window. */
const GAP = 6;
const EDGE = 8;
/** A pointer on its way across does not open it. */
const HOVER_MS = 120;

/** The explanation of a term, for `title=`. @param {Term} term @returns {string} */
export const explain = (term) => textOf(term);

/** A small “?” to put beside a word: explains on hover and focus. @param {Term} term */
export const explainMark = (term) => html`<button type="button" class="explain-mark" data-explain=${term} aria-label="What is “${nameOfTerm(term)}”?"
  @click=${(/** @type {Event} */ event) => { event.stopPropagation(); event.preventDefault(); }}>?</button>`;

/** Let every `data-explain` of the page explain itself. @param {HTMLElement} body */
export function mountExplanations(body) {
  const tip = Object.assign(document.createElement('div'), { id: TIP_ID, role: 'tooltip', hidden: true });
  tip.setAttribute('role', 'tooltip');
  body.append(tip);
  /** @type {HTMLElement | null} */
  let shownFor = null;
  let timer = 0;

  const hide = () => {
    clearTimeout(timer);
    tip.hidden = true;
    if (shownFor?.getAttribute('aria-describedby') === TIP_ID) shownFor.removeAttribute('aria-describedby');
    shownFor = null;
  };
  const show = (/** @type {HTMLElement} */ mark) => {
    const term = mark.dataset.explain ?? '';
    if (!(term in GLOSSARY)) return;
    hide();
    shownFor = mark;
    // Above an open dialog only what is inside of it can be seen.
    (mark.closest('dialog') ?? body).append(tip);
    render(html`<b>${nameOfTerm(/** @type {Term} */ (term))}</b> ${textOf(/** @type {Term} */ (term))}`, tip);
    tip.hidden = false;
    mark.setAttribute('aria-describedby', TIP_ID);
    place(tip, mark.getBoundingClientRect());
  };
  const markOf = (/** @type {Event} */ event) => (event.target instanceof Element ? /** @type {HTMLElement | null} */ (event.target.closest('[data-explain]')) : null);

  body.addEventListener('pointerover', (event) => {
    const mark = markOf(event);
    if (mark === shownFor) return;
    // The tooltip itself may be read with the pointer on it.
    if (shownFor && event.target instanceof Element && tip.contains(event.target)) return;
    clearTimeout(timer);
    if (mark) timer = setTimeout(() => show(mark), HOVER_MS);
    else if (shownFor && shownFor !== document.activeElement) timer = setTimeout(hide, HOVER_MS);
  });
  body.addEventListener('focusin', (event) => { const mark = markOf(event); if (mark) show(mark); else hide(); });
  body.addEventListener('focusout', hide);
  body.addEventListener('click', (event) => { const mark = markOf(event); if (mark?.classList.contains('explain-mark')) show(mark); else if (shownFor) hide(); });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !shownFor) return;
    // It closes the explanation alone, not what lies below.
    event.preventDefault();
    event.stopPropagation();
    hide();
  }, { capture: true });
  window.addEventListener('resize', hide);
  document.addEventListener('scroll', hide, { capture: true, passive: true });
}

/** Below what it explains, or above where there is no room. @param {HTMLElement} tip @param {DOMRect} around */
function place(tip, around) {
  tip.style.left = '0';
  tip.style.top = '0';
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.max(EDGE, Math.min(around.left + around.width / 2 - width / 2, window.innerWidth - width - EDGE));
  const below = around.bottom + GAP;
  const top = below + height + EDGE <= window.innerHeight ? below : Math.max(EDGE, around.top - GAP - height);
  tip.style.left = `${Math.round(left)}px`;
  tip.style.top = `${Math.round(top)}px`;
}
