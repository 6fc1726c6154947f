// @ts-check
/** The Share menu: a link to the view, pictures, the figure for print, animations and tables. */
import { effect, html, render, signal } from '../../lib.js';
import { copyText } from '../../export/save.js';
import { hostAddress } from '../../host.js';
import { MOST } from '../../model/evolutions.js';
import { counted, formatCount, shorten } from '../../model/format.js';
import { makeLink } from './link.js';
import { menuButton, taskMessage } from './menu.js';
import { saveAnimation } from './animation.js';
import { saveEvolutions } from './evolutions.js';
import { saveFigure } from './figure.js';
import { canFilm, saveFilm } from './film.js';
import { savePicture } from './pictures.js';
import { countShown, saveConcepts, saveTable } from './table.js';
import { createTask } from './task.js';

/**
 * @typedef {object} Sharing what the makers of files work with
 * @property {import('../../store.js').Store} store
 * @property {import('../../map/maps.js').Maps} maps
 * @property {import('../../api.js').Api} api
 * @property {import('../../address.js').Address} address
 * @property {import('../../player.js').Player} player
 */

/** @param {HTMLElement} host @param {Sharing} sharing */
export function mountShare(host, sharing) {
  const { store } = sharing;
  host.classList.add('share');
  const task = createTask();
  const open = signal(false);
  const onlyShown = signal(false);
  const forPrint = signal(false);
  const setOpen = (/** @type {boolean} */ now) => { open.value = now; };
  document.addEventListener('pointerdown', (event) => { if (open.peek() && !host.contains(/** @type {Node} */ (event.target))) setOpen(false); });

  /** @returns {import('./menu.js').Section[]} */
  const sections = () => {
    const ready = store.layer.value !== null;
    const table = (/** @type {'csv' | 'json'} */ format) => () => { task.run('Making the table…', (work) => saveTable(sharing, format, onlyShown.peek(), work)); };
    const picture = (/** @type {'png' | 'svg'} */ format) => () => { task.run('Drawing the map…', (work) => savePicture(sharing, format, forPrint.peek(), work)); };
    const animation = (/** @type {typeof saveFilm} */ save) => () => { task.run('Loading the steps…', (work) => save(sharing, forPrint.peek(), work)); };
    const movable = ready && store.steps.value.length > 1;
    const { shown, all } = countShown(store);
    const concepts = (/** @type {'csv' | 'json'} */ format) => () => { task.run('Making the table…', (work) => saveConcepts(sharing, format, work)); };
    const evolutions = (/** @type {'csv' | 'json'} */ format) => () => { task.run('Making the table…', (work) => saveEvolutions(sharing, format, work)); };
    const ranked = store.evolution.value?.run === store.first.value.run ? store.evolution.value : null;
    return [
      { label: 'Link', items: [
        { label: 'Copy link', hint: 'the whole view', title: 'Runs, layer, step, camera, selection, filters, anchors, threshold and panels are in the link', run: () => { task.run('Copying the link…', () => copyLink(sharing)); } },
      ] },
      { label: 'Picture of the map', items: [
        { label: 'Picture (PNG)', hint: 'for slides and messages', title: 'The map as it is shown, with title, legend and names, at twice the size of the screen', disabled: !ready, run: picture('png') },
        { label: 'Picture (SVG)', hint: 'for drawing programs', title: 'The same as a drawing: every neuron, star and name can be changed', disabled: !ready, run: picture('svg') },
        { label: 'On white, for print', title: 'Pictures and animations in the colours for white paper instead of those on the screen', checked: forPrint.value, run: () => { forPrint.value = !forPrint.peek(); } },
      ] },
      { label: 'Figure', items: [
        { label: 'Figure for print', hint: 'map, images, bars by step', title: 'One drawing 180 mm wide: the concept space at a few steps, the images of pinned or tracked neurons, and bars of categories with the anchor distance', disabled: !ready, run: () => { task.run('Loading the steps…', (work) => saveFigure(sharing, work)); } },
      ] },
      { label: store.range.value ? 'Animation of the range' : 'Animation of all steps', items: [
        { label: 'Animation (HTML)', hint: 'opens in any browser', title: 'One file with a player: play, step, point at neurons; it asks nothing from anywhere', disabled: !movable, run: animation(saveAnimation) },
        { label: 'Animation (WebM)', hint: canFilm() ? `a film at ${store.speed.value}×` : 'not in this browser', title: 'A film at the chosen speed, for slides', disabled: !movable, run: animation(saveFilm) },
      ] },
      { label: `Table of the ${shown === all || !onlyShown.value ? counted(all, 'neuron') : `${formatCount(shown)} of ${counted(all, 'neuron')}`} at this step`, items: [
        { label: 'Table (CSV)', hint: 'for spreadsheets', title: 'What each neuron detects at this step, with similarities, displacement and place on the map', disabled: !ready, run: table('csv') },
        { label: 'Table (JSON)', hint: 'for programs', title: 'The same with types, and with what it is of', disabled: !ready, run: table('json') },
        { label: `Only the ${formatCount(shown)} that are not dimmed`, title: 'Leave out the neurons that selection and filters dim, and those without a signal', checked: onlyShown.value, run: () => { onlyShown.value = !onlyShown.peek(); } },
      ] },
      { label: 'Table of the concepts at this step', items: [
        { label: 'Concepts (CSV)', hint: 'neurons of each', title: 'How many neurons have each concept, the change since the chosen step, and when it was first seen; filtered as the table of the Concepts panel', disabled: !ready, run: concepts('csv') },
        { label: 'Concepts (JSON)', hint: 'for programs', title: 'The same with types', disabled: !ready, run: concepts('json') },
      ] },
      ...(ranked ? [{ label: `Table of the evolutions ${formatCount(ranked.from)} → ${formatCount(ranked.to)}`, items: [
        { label: 'Evolutions (CSV)', hint: `for “${shorten(ranked.class, 16)}”`, title: `Up to ${MOST} evolutions of the class, layer and order chosen in the Evolutions panel, with what each neuron was before and after`, run: evolutions('csv') },
        { label: 'Evolutions (JSON)', hint: 'for programs', title: 'The same with types', run: evolutions('json') },
      ] }] : []),
    ];
  };
  effect(() => { render(html`${menuButton({ sections: open.value ? sections() : [], open: open.value, setOpen })}${taskMessage(task)}`, host); });
}

/** @param {Sharing} sharing @returns {Promise<import('./task.js').Outcome>} */
async function copyLink({ address }) {
  const { link, dropped } = makeLink(hostAddress(), address.now());
  const copied = await copyText(link);
  const lost = dropped.length ? ` It would be too long with ${dropped.join(' and ')}: whoever opens it sees the rest of the view without.` : '';
  if (!copied) return { text: `The browser does not let this page copy: take the link from here.${lost}`, tone: 'warn', detail: link };
  return { text: `Link to this view copied.${lost}`, tone: lost ? 'warn' : 'plain' };
}
