// @ts-check
/** The page for a log directory without concepts: what to paste into a training loop. */
import { effect, html, render, signal } from '../lib.js';
import { icon, star } from './icons.js';

export const QUICK_START = `import conceptmon_tb as cm
monitor = cm.ConceptMonitor(layers=["layer2", "layer3", "layer4"])
writer = cm.ConceptWriter("runs/my-run", monitor=monitor)
for epoch in range(epochs):
    train_one_epoch(model); writer.add_concepts(model, global_step=epoch)`;

/** @param {HTMLElement} host @param {import('../store.js').Store} store */
export function mountEmpty(host, store) {
  const copied = signal('');
  const copy = async () => {
    copied.value = (await copyText(QUICK_START)) ? 'Copied' : 'Select the lines and press Ctrl+C';
    setTimeout(() => { copied.value = ''; }, 2500);
  };
  effect(() => { render(html`<div class="empty-card">
    <div class="empty-star">${star(40)}</div>
    <h1>No concepts logged yet</h1>
    <p>Concept Monitor shows which human concepts the neurons of a network detect, epoch by epoch. Add these five lines to a training loop:</p>
    <div class="code"><pre tabindex="0" aria-label="Quick start"><code>${QUICK_START}</code></pre>
      <button type="button" class="copy" @click=${copy}>${icon('copy')}<span>${copied.value || 'Copy'}</span></button></div>
    <p class="visually-hidden" role="status">${copied.value}</p>
    <p>Then start <code>tensorboard --logdir runs</code>. <code>layers</code> takes names from <code>model.named_modules()</code>; without further arguments the demo encoder is used, which works offline.</p>
    <p class="waiting"><i></i>${store.problem.value || 'Watching the log directory: this page changes by itself when the first epoch arrives.'}</p></div>`, host); });
}

/** @param {string} text @returns {Promise<boolean>} */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain http from another machine there is no clipboard API; the old way still works.
    const area = Object.assign(document.createElement('textarea'), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}
