// @ts-check
/** The panel of evolutions for a run without any: what would be here, and the lines of Python that log it. */
import { html, nothing, signal } from '../../lib.js';
import { copyText } from '../../export/save.js';
import { icon } from '../icons.js';

export const LINES = `import conceptmon_tb as cm
table = cm.important_evolutions(
    "ckpt/epoch5.pt", model, images,
    labels, ["layer3", "layer4"],
    from_step=5, to_step=21)
with cm.ConceptWriter("runs/my-run") as writer:
    writer.add_evolutions(table)`;
const SHOWN_MS = 2500;

const copied = signal('');
const copy = async () => {
  copied.value = (await copyText(LINES)) ? 'Copied' : 'Select the lines and press Ctrl+C';
  setTimeout(() => { copied.value = ''; }, SHOWN_MS);
};

/** @param {string} run */
export const emptyEvolutions = (run) => html`<div class="evolutions-empty"><h3>No evolutions are logged</h3>
  <p>How a neuron changes between two epochs may matter to a class: it raises the network’s answer for most of the class’s images, or lowers it. Here such changes are ranked, with what the neuron detected before and after.</p>
  <p>${run ? html`For <b>${run}</b>, during` : 'During'} the training or after it, from a checkpoint and the model:</p>
  <div class="code"><pre tabindex="0" aria-label="Lines that log evolutions"><code>${LINES}</code></pre>
    <button type="button" class="copy" @click=${copy}>${icon('copy')}<span>${copied.value || 'Copy'}</span></button></div>
  <p class="visually-hidden" role="status">${copied.value || nothing}</p>
  <p class="hint"><code>images</code> and <code>labels</code> are some of the training’s; two steps at which concepts were logged show images before and after. This page changes by itself when a table arrives.</p></div>`;
