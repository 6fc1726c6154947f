// @ts-check
/** The figure for print in one click: a drawing 180 mm wide, and a page that prints it. */
import { readColors } from '../../export/colors.js';
import { createMeasure } from '../../export/drawing.js';
import { drawFigure } from '../../export/figure.js';
import { gatherFrames, gatherSpace, layerOf, thresholdOf } from '../../export/gather.js';
import { saveText } from '../../export/save.js';
import { svgText } from '../../export/svg.js';
import { formatNumber } from '../../model/format.js';
import { countedBar, figureEpochs, figureLayers, loggedBar, MAX_NEURONS } from '../../model/figure.js';
import { toPatch } from '../../model/images.js';
import { labelFromEntry, slotsOf } from '../../model/neurons.js';
import { paintLayer } from '../../model/paint.js';
import { fileName } from '../../model/table.js';

/** @typedef {import('./share.js').Sharing} Sharing */
/** @typedef {import('../../export/figure.js').FigureNeuron} FigureNeuron */

/** Long enough to print. */
const KEEP_MS = 600000;

/** @param {Sharing} sharing @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function saveFigure(sharing, { progress, signal }) {
  const { store, api } = sharing;
  const source = store.first.peek();
  const epochs = figureEpochs(layerOf(source).steps, store.figureSteps.peek());
  const layer = await gatherFrames(source, api, epochs, { signal, progress: (share) => progress(0.2 * share, 'Loading the steps…') });
  await progress(0.25, 'Loading the images…');
  const spaces = new Map();
  for (const epoch of epochs) spaces.set(epoch, await gatherSpace(source, api, layer, epoch));
  const neurons = await gatherNeurons(sharing, epochs.map((epoch) => layer.steps[epoch]), signal);
  await progress(0.7, 'Drawing the figure…');
  const rows = epochs.map((epoch, i) => ({
    epoch, step: layer.steps[epoch], space: spaces.get(epoch), neurons: neurons.map((one) => one[i]), bars: barsAt(store, layer, epoch, spaces.get(epoch)),
    distance: source.metrics.peek().find(({ step }) => step === layer.steps[epoch])?.d_anchor ?? null,
  }));
  const last = epochs[epochs.length - 1];
  const threshold = thresholdOf(source, last);
  const { encoder, note } = spaces.get(last);
  const origin = [threshold === null ? '' : `Threshold ${formatNumber(threshold)}${store.threshold.peek() === null ? '' : ', set by hand'}`, encoder ? `encoder ${encoder}` : '', note].filter(Boolean).join('; ');
  const paint = paintLayer(layer, (epoch) => spaces.get(epoch) ?? null, { colorBy: 'category', hidden: new Set(), concept: null });
  const drawing = drawFigure({ run: source.run, layer, paint, anchors: store.anchors.peek(), rows, origin: origin || 'Logged by Concept Monitor' }, readColors('print'), createMeasure());
  const text = svgText(drawing, { unit: 'mm' });
  const name = fileName(['figure', source.run, source.name, `steps${rows.map(({ step }) => step).join('-')}`], 'svg');
  saveText(text, 'image/svg+xml', name);
  const others = store.others.peek().length ? ` It shows ${source.run}, ${source.name} alone.` : '';
  return {
    text: `Saved ${name}, 180 mm wide.${others}`,
    action: { label: 'Print it', title: 'Open the figure on a page of its own, ready to print or to save as PDF', run: () => openForPrint(drawing.title, svgText(drawing, { unit: 'mm', inPage: true })) },
  };
}

/** Bars of the layers at a step; with the reader's threshold only of the one whose neurons are known. @param {import('../../store.js').Store} store @param {import('../../model/layer.js').Layer} layer @param {number} epoch @param {import('../../model/space.js').Space} space */
function barsAt(store, layer, epoch, space) {
  if (store.threshold.peek() !== null) return [countedBar(layer, epoch, space)];
  const { timeline } = store.first.peek().data.peek();
  const names = figureLayers(store.layerNames.peek().filter((name) => timeline[name]), layer.name);
  return names.flatMap((name) => {
    const metrics = timeline[name].find(({ step }) => step === layer.steps[epoch]);
    return metrics ? [loggedBar(name, metrics, space.categories)] : [];
  });
}

/** The followed neurons with label and images: those pinned, else those tracked. @param {Sharing} sharing @param {number[]} steps @param {AbortSignal} signal @returns {Promise<FigureNeuron[][]>} for each neuron one for each step */
async function gatherNeurons({ store, api }, steps, signal) {
  const source = store.first.peek();
  const pinned = store.pinned.peek().filter(({ run, layer }) => run === source.run && layer === source.name).map(({ neuron }) => neuron);
  const chosen = (pinned.length ? pinned : source.trackedBy.peek() === 'suggestion' ? source.tracked.peek().slice(0, 3) : source.tracked.peek()).slice(0, MAX_NEURONS);
  const slotOf = slotsOf(source.space.peek());
  const crop = createCropper(source.data.peek().tiles, (step) => api.imagePage(source.run, step));
  return Promise.all(chosen.map(async (neuron) => {
    const answer = await api.neuron(source.run, source.name, neuron, steps[steps.length - 1], { k: 0, film: steps, signal });
    const entries = new Map(answer.history.map((entry) => [entry.step, entry]));
    return Promise.all(steps.map(async (step) => {
      const entry = entries.get(step);
      const label = entry ? labelFromEntry(entry, store.threshold.peek(), slotOf) : { valid: false, unknown: false, interpretable: false, word: '', slot: -1, similarity: NaN };
      const ids = ((label.valid || label.unknown) && entry?.top_images) || [];
      const images = await Promise.all(ids.slice(0, 6).map(async (id, rank) => ({ href: await crop(id), patch: toPatch(entry?.top_patches?.[rank]) })));
      return { neuron, ...label, images: images.flatMap(({ href, patch }) => (href ? [{ href, patch }] : [])) };
    }));
  }));
}

/** Cuts probe images out of their atlas pages. @param {Map<number, import('../../model/images.js').Tile>} tiles @param {(step: number) => string} pageOf @returns {(id: number) => Promise<string>} a data address, '' where the log has none */
function createCropper(tiles, pageOf) {
  /** @type {Map<number, Promise<HTMLImageElement | null>>} */
  const pages = new Map();
  const load = (/** @type {number} */ step) => {
    let page = pages.get(step);
    if (!page) {
      const picture = Object.assign(new Image(), { src: pageOf(step) });
      pages.set(step, (page = picture.decode().then(() => picture, () => null)));
    }
    return page;
  };
  return async (id) => {
    const tile = tiles.get(id);
    const page = tile && await load(tile.step);
    if (!tile || !page) return '';
    const [width, height] = [page.naturalWidth / tile.columns, page.naturalHeight / tile.rows];
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')).drawImage(page, tile.column * width, tile.row * height, width, height, 0, 0, width, height);
    return canvas.toDataURL('image/jpeg', 0.92);
  };
}

/** A page of the figure alone. @param {string} title @param {string} svg */
function openForPrint(title, svg) {
  const style = '@page { size: A4; margin: 15mm } body { margin: 24px auto; width: 180mm; background: #fff; font: 13px/1.5 system-ui, sans-serif; color: #444 } svg { display: block; width: 180mm; height: auto } @media print { body { margin: 0 } p { display: none } svg { break-inside: avoid } }';
  const page = document.implementation.createHTMLDocument(title);
  const hint = Object.assign(page.createElement('p'), { textContent: 'Print this page (Ctrl or ⌘ P), or save it as PDF: the drawing stays sharp at any size.' });
  page.head.append(Object.assign(page.createElement('meta'), { httpEquiv: 'Content-Type', content: 'text/html; charset=utf-8' }), Object.assign(page.createElement('style'), { textContent: style }));
  page.body.append(hint, page.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true));
  const href = URL.createObjectURL(new Blob([`<!doctype html>${page.documentElement.outerHTML}`], { type: 'text/html;charset=utf-8' }));
  window.open(href, '_blank', 'noopener');
  setTimeout(() => URL.revokeObjectURL(href), KEEP_MS);
}
