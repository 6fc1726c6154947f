// @ts-check
/** A table of any length of which only the rows in sight are in the page; one stop for the Tab key. */
import { computed, effect, html, nothing, render, signal } from '../../lib.js';

/** @template T @typedef {import('../../lib.js').Signal<T>} Signal */
/**
 * @typedef {object} Row
 * @property {unknown} cells each with the role gridcell
 * @property {string} title
 * @property {boolean} isSelected
 * @property {string} [className]
 */
/**
 * @typedef {object} GridOptions
 * @property {string} id begins the id of every row
 * @property {string} label
 * @property {Signal<boolean>} isShown
 * @property {Signal<number[]>} rows numbers that name the rows, in order
 * @property {() => number} [rowHeight] px
 * @property {() => string} columns widths, as in CSS
 * @property {() => unknown} head cells with the role columnheader
 * @property {(row: number) => Row} rowOf
 * @property {(row: number, more: boolean) => void} onChoose Enter or a click; more: with Ctrl, Shift or Command
 * @property {(row: number | null) => void} onPoint the row under the pointer or the arrow keys
 */

export const ROW = 26;
const HEAD = 30;
/** Rows in the page above and below those in sight. */
const OVERSCAN = 6;

/** @param {HTMLElement} grid @param {GridOptions} options */
export function mountGrid(grid, { id, label, isShown, rows, columns, head, rowOf, onChoose, onPoint, rowHeight = () => ROW }) {
  const scrolled = signal(0);
  const height = signal(0);
  const active = signal(-1);
  Object.assign(grid, { className: 'grid-table', tabIndex: 0 });
  for (const [name, value] of Object.entries({ role: 'grid', 'aria-label': label, 'aria-multiselectable': 'true' })) grid.setAttribute(name, value);
  grid.addEventListener('scroll', () => { scrolled.value = Math.floor(grid.scrollTop / rowHeight()); }, { passive: true });
  new ResizeObserver(() => { if (grid.clientHeight) height.value = grid.clientHeight; }).observe(grid);

  /** @param {number} at place in the list */
  const moveTo = (at) => {
    const list = rows.peek();
    if (!list.length) return;
    const to = Math.max(0, Math.min(list.length - 1, at));
    active.value = list[to];
    const size = rowHeight();
    const top = to * size;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + size > grid.scrollTop + grid.clientHeight - HEAD) grid.scrollTop = top + size + HEAD - grid.clientHeight;
    onPoint(list[to]);
  };
  const hasModifier = (/** @type {KeyboardEvent | MouseEvent} */ event) => event.ctrlKey || event.metaKey || event.shiftKey;
  grid.addEventListener('keydown', (event) => {
    if (event.target !== grid) return;
    const at = rows.peek().indexOf(active.peek());
    const page = Math.max(1, Math.floor((grid.clientHeight - HEAD) / rowHeight()) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), PageDown: at + page, PageUp: at - page, Home: 0, End: rows.peek().length }[event.key];
    if (to !== undefined) moveTo(to);
    else if ((event.key === 'Enter' || event.key === ' ') && at >= 0) onChoose(active.peek(), hasModifier(event));
    else return;
    event.preventDefault();
  });
  grid.addEventListener('blur', () => onPoint(null));
  grid.addEventListener('pointerleave', () => onPoint(null));

  const place = computed(() => ({ from: Math.max(0, scrolled.value - OVERSCAN), to: scrolled.value + Math.ceil(height.value / rowHeight()) + OVERSCAN }));
  effect(() => {
    if (!isShown.value) return;
    const { from, to } = place.value;
    const list = rows.value.slice(from, to);
    grid.setAttribute('aria-rowcount', String(rows.value.length + 1));
    if (list.includes(active.value)) grid.setAttribute('aria-activedescendant', `${id}-${active.value}`);
    else grid.removeAttribute('aria-activedescendant');
    const size = rowHeight();
    grid.style.setProperty('--columns', columns());
    grid.style.setProperty('--row', `${size}px`);
    render(html`<div role="rowgroup" class="grid-head"><div role="row" aria-rowindex="1" class="grid-row">${head()}</div></div>
      ${list.length ? html`<div role="rowgroup" class="grid-body" style="height:${rows.value.length * size}px">${list.map((row, i) => {
        const { cells, title, isSelected, className = '' } = rowOf(row);
        return html`<div role="row" id="${id}-${row}" class="grid-row ${className} ${active.value === row ? 'active' : ''}" aria-rowindex=${from + i + 2} aria-selected=${String(isSelected)}
          style="top:${(from + i) * size}px" title=${title} @click=${(/** @type {MouseEvent} */ event) => { active.value = row; onChoose(row, hasModifier(event)); }}
          @pointerenter=${() => onPoint(row)}>${cells}</div>`;
      })}</div>` : nothing}`, grid);
  });
}
