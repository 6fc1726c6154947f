// @ts-check
/** The choice of the step that changes are counted from; the table and the flow share it. */
import { html } from '../../lib.js';
import { formatCount } from '../../model/format.js';
import { icon } from '../icons.js';

/** @param {import('../../store.js').Store} store @param {string} label what stands before the choice */
export function baseChoice(store, label) {
  const base = store.base.value;
  const steps = store.steps.value;
  const option = (/** @type {string | number} */ value, /** @type {string} */ text) => html`<option value=${String(value)} ?selected=${String(value) === String(base)}>${text}</option>`;
  const choose = (/** @type {any} */ event) => {
    const { value } = event.target;
    store.base.value = value === 'first' || value === 'previous' ? value : Number(value);
  };
  // A step of another layer, or of a link, may not be one of ours: the nearest is taken, and said.
  const strange = typeof base === 'number' && !steps.includes(base);
  return html`<label class="choice base" title="The step that changes are counted from"><span>${label}</span><span class="select"><select aria-label="Count changes since" @change=${choose}>
    ${option('first', steps.length ? `first step (${formatCount(steps[0])})` : 'first step')}${option('previous', 'the step before')}
    ${strange ? option(base, `step ${formatCount(base)} (nearest)`) : ''}
    <optgroup label="a step">${steps.map((step) => option(step, `step ${formatCount(step)}`))}</optgroup></select>${icon('chevron')}</span></label>`;
}
