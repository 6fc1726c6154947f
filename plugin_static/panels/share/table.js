// @ts-check
/** The tables of the neurons and of the concepts that are shown, as files. */
import { gatherSpace, gatherStep, layerOf, thresholdOf } from '../../export/gather.js';
import { saveText } from '../../export/save.js';
import { baseEpoch, tallyLayer } from '../../model/concepts.js';
import { counted } from '../../model/format.js';
import { KIND } from '../../model/paint.js';
import { conceptRows, fileName, neuronRows, toCsv, toJson } from '../../model/table.js';

/** @typedef {import('./share.js').Sharing} Sharing */

/** How many neurons are shown in full colour, of all, over all sources. @param {import('../../store.js').Store} store */
export function countShown(store) {
  let shown = 0;
  let all = 0;
  for (const source of store.sources.value) {
    const layer = source.layer.value;
    const paint = source.paint.value;
    if (!layer || !paint) continue;
    all += layer.neurons;
    const { kind } = paint.at(source.epoch.value);
    for (let neuron = 0; neuron < layer.neurons; neuron++) shown += Number(kind[neuron] === KIND.FULL || kind[neuron] === KIND.FAINT);
  }
  return { shown, all };
}

/** @param {Sharing} sharing @param {'csv' | 'json'} format @param {boolean} onlyShown whether what is dimmed or not drawn is left out @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function saveTable({ store, api }, format, onlyShown, { progress, signal }) {
  const sources = store.sources.peek();
  const rows = [];
  for (const [i, source] of sources.entries()) {
    await progress(i / sources.length);
    const epoch = source.epoch.peek();
    const layer = await gatherStep(source, api, epoch, signal);
    const space = await gatherSpace(source, api, layer, epoch);
    const kind = onlyShown ? source.paint.peek()?.at(epoch).kind : undefined;
    const part = neuronRows(layer, space, epoch, thresholdOf(source, epoch), kind && ((neuron) => kind[neuron] === KIND.FULL || kind[neuron] === KIND.FAINT));
    // One by one: an array of 100,000 rows is too long to be spread into arguments.
    for (const row of part) rows.push(row);
  }
  await progress(0.9);
  const name = fileName(['concepts', ...namesOf(store), onlyShown ? 'shown' : ''], format);
  const about = {
    about: 'Concept Monitor: what neurons detect at one step', rows: onlyShown ? 'neurons left by selection and filters' : 'all neurons', threshold_set_by_reader: store.threshold.peek() !== null,
    sources: sources.map((source) => ({ run: source.run, layer: source.name, step: source.step.peek(), encoder: source.space.peek()?.encoder ?? '', note: source.space.peek()?.note ?? '' })),
  };
  saveText(format === 'csv' ? toCsv(rows) : toJson(rows, about), format === 'csv' ? 'text/csv' : 'application/json', name);
  return { text: `Saved ${counted(rows.length, 'neuron')} to ${name}` };
}

/** @param {Sharing} sharing @param {'csv' | 'json'} format @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function saveConcepts({ store }, format, { progress }) {
  const text = store.conceptText.peek().trim().toLowerCase();
  const hidden = store.hidden.peek();
  const sources = store.sources.peek();
  const rows = [];
  for (const [i, source] of sources.entries()) {
    await progress(i / sources.length);
    const tally = tallyLayer(layerOf(source), source.spaceAt.peek());
    const epoch = source.epoch.peek();
    const base = baseEpoch(store.base.peek(), source.steps.peek(), epoch);
    rows.push(...conceptRows(tally, epoch, base, (row) => !hidden.has(tally.categories[row].name) && tally.words[row].toLowerCase().includes(text)));
  }
  const name = fileName(['concept-counts', ...namesOf(store)], format);
  const about = { about: 'Concept Monitor: how many neurons have each concept', threshold_set_by_reader: store.threshold.peek() !== null };
  saveText(format === 'csv' ? toCsv(rows) : toJson(rows, about, 'concepts'), format === 'csv' ? 'text/csv' : 'application/json', name);
  return { text: `Saved ${counted(rows.length, 'concept')} to ${name}` };
}

/** Run, layer and step of what is shown, for file names. @param {import('../../store.js').Store} store @returns {string[]} */
export function namesOf(store) {
  const [first, ...others] = store.sources.peek();
  const runs = [...new Set([first, ...others].map(({ run }) => run))];
  const layers = [...new Set([first, ...others].map(({ name }) => name))];
  return [runs.join('-and-'), layers.join('-and-'), `step${layerOf(first).steps[first.epoch.peek()]}`];
}
