// @ts-check
/** The time line: play, step, scrub; bars show how much moved at each step. */
import { effect, html, nothing, render, signal, svg } from '../lib.js';
import { formatCount } from '../model/format.js';
import { labelledIndices } from '../model/steps.js';
import { icon, iconButton } from './icons.js';

const SPEEDS = [0.5, 1, 2, 4];

/** @param {HTMLElement} host @param {import('../store.js').Store} store @param {import('../player.js').Player} player */
export function mountTimeline(host, store, player) {
  const width = signal(600);
  effect(() => {
    const steps = store.steps.value;
    const last = Math.max(1, steps.length - 1);
    const place = (/** @type {number} */ index) => (steps.length > 1 ? index / last : 0.5) * 100;
    const moved = new Map(store.first.value.metrics.value.map((entry) => [entry.step, entry.mean_displacement ?? 0]));
    const most = Math.max(1e-9, ...moved.values());
    const bar = Math.max(0.15, Math.min(0.9, 40 / steps.length)) ;
    const marks = labelledIndices(steps, Math.max(2, Math.floor(width.value / 70)));
    const running = store.playing.value;
    render(html`
      <div class="transport">
        ${iconButton({ name: 'back', label: 'Previous step (left arrow)', onClick: () => player.step(-1) })}
        <button type="button" class="play" title="${running ? 'Pause' : 'Play'} (space)" aria-label=${running ? 'Pause' : 'Play'} ?disabled=${steps.length < 2} @click=${player.toggle}>${icon(running ? 'pause' : 'play')}</button>
        ${iconButton({ name: 'forward', label: 'Next step (right arrow)', onClick: () => player.step(1) })}
      </div>
      <div class="step-now" aria-live="off"><span>step</span><b>${steps.length ? formatCount(store.step.value) : '–'}</b><span class="mute">/ ${steps.length ? formatCount(steps[steps.length - 1]) : '–'}</span></div>
      <div class="scrub">
        <svg class="moved" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">${steps.map((step, i) => {
          const height = ((moved.get(step) ?? 0) / most) * 23;
          return height > 0 ? svg`<rect class=${i <= store.cursor.value + 0.5 ? 'past' : ''} x=${place(i) - bar / 2} width=${bar} y=${24 - height} height=${height}/>` : nothing;
        })}</svg>
        <div class="track"><div class="track-fill" style="width:${steps.length > 1 ? place(store.cursor.value) : 0}%"></div><div class="knob" style="left:${place(store.cursor.value)}%"></div></div>
        <div class="scrub-marks" aria-hidden="true">${marks.map((i) => html`<span style="left:${place(i)}%">${formatCount(steps[i])}</span>`)}</div>
        <input type="range" min="0" max=${Math.max(0, steps.length - 1)} step="any" .value=${String(store.cursor.value)} ?disabled=${steps.length < 2} aria-label="Step" aria-valuetext="step ${store.step.value}"
          title="How much the neurons moved at each step; drag to scrub"
          @input=${(/** @type {any} */ event) => player.scrub(Number(event.target.value))} @change=${() => player.jump(Math.round(store.cursor.peek()))}>
      </div>
      <div class="speed" role="radiogroup" aria-label="Speed">${SPEEDS.map((speed) => html`<button type="button" role="radio" aria-checked=${String(store.speed.value === speed)} @click=${() => { store.speed.value = speed; }}>${speed}×</button>`)}</div>`, host);
  });
  new ResizeObserver(() => {
    const track = host.querySelector('.scrub');
    if (track?.clientWidth) width.value = track.clientWidth;
  }).observe(host);
}
