// @ts-check
/**
 * What every word and number in the tab means, in one or two plain sentences for people who have not read the
 * thesis. Views show them on hover and focus (panels/explain.js); the help sheet lists them all.
 */

/** @typedef {keyof typeof GLOSSARY} Term */
/** @typedef {{name: string, text: string}} Entry */

export const GLOSSARY = {
  // What is looked at
  neuron: { name: 'neuron', text: 'One output channel of a layer. It answers to some pictures more than to others; each dot on the map is one neuron.' },
  layer: { name: 'layer', text: 'One stage of the network. Early layers usually pick up colours and textures, deep layers objects and whole scenes.' },
  run: { name: 'run', text: 'One training of a network, logged into a folder of its own.' },
  concept: { name: 'concept', text: 'A word, such as “striped” or “garden”. A neuron’s concept is the word whose pictures it answers to most.' },
  category: { name: 'category', text: 'The kind of a concept. From simple to complex: colour, texture, material, part, object, scene.' },
  color: { name: 'color (category)', text: 'Concepts that are colours, such as “red”: the simplest kind, usual early in training and in early layers.' },
  texture: { name: 'texture (category)', text: 'Concepts that are patterns, such as “striped”: simple, usual early in training and in early layers.' },
  material: { name: 'material (category)', text: 'Concepts that are what things are made of, such as “wood” or “glass”.' },
  part: { name: 'part (category)', text: 'Concepts that are pieces of things, such as “wheel” or “leg”.' },
  object: { name: 'object (category)', text: 'Concepts that are whole things, such as “dog” or “car”: complex, usual in deep layers of a trained network.' },
  scene: { name: 'scene (category)', text: 'Concepts that are places, such as “garden” or “kitchen”: complex, usual in deep layers of a trained network.' },
  low_level: { name: 'low-level concepts', text: 'Colours, textures and materials: what can be told from a small piece of a picture.' },
  high_level: { name: 'high-level concepts', text: 'Parts, objects and scenes: what takes a larger part of the picture to recognise. A well trained deep layer has many.' },

  // How clear a neuron is
  interpretable: { name: 'interpretable', text: 'A neuron whose best concept fits clearly: its similarity is above the threshold. More of them is usually a good sign.' },
  no_concept: { name: 'no concept', text: 'A neuron that works but fits no word clearly: its best similarity is not above the threshold.' },
  similarity: { name: 'similarity', text: 'How well a concept describes a neuron: the higher, the better the pictures that excite the neuron match the word. Its scale depends on the detector.' },
  threshold: { name: 'threshold', text: 'A neuron counts as interpretable if its best similarity is above this value. Move it to see how counts depend on it; logged data do not change.' },
  calibrated: { name: 'calibrated threshold', text: 'A threshold found from the neuron’s own activations in shuffled order, which mean nothing: at most 1% of such noise passes it (another share if the script sets one). Set anew at every step.' },
  explanation: { name: 'weighted sum of concepts', text: 'The few concepts that together tell best how strongly the neuron answers to a picture. +0.5 means: where the concept is one standard deviation stronger, the neuron answers half a standard deviation more.' },
  explanation_fit: { name: 'fit', text: 'How well the weighted sum tells the neuron’s answers, on probe images that it was not made from: correlation, 1 is perfect, near 0 is chance.' },
  num_concepts: { name: 'concepts served', text: 'How many distinct concepts share in the weighted sum. 1: the neuron stands for one thing; more: it serves several (polysemantic). Words of like meaning count together.' },
  redundant: { name: 'shared concept', text: 'How many other neurons of the layer have the same concept. Many: the layer says the same thing more than once.' },
  description: { name: 'description', text: 'What a captioner wrote of the pictures that excite the neuron most.' },
  detector: { name: 'detector', text: 'The method that finds the concept of a neuron by comparing what excites it with what pictures show.' },
  dead: { name: 'dead', text: 'A neuron that is zero on every probe image. It does nothing, so it has no concept and no place on the map; many of them are a bad sign.' },
  constant: { name: 'constant', text: 'A neuron with one and the same value on every probe image. It tells pictures apart in no way and is left off the map.' },
  nonfinite: { name: 'not finite', text: 'A neuron whose activations hold infinity or “not a number”. Training has probably broken down; the neuron is left off the map.' },
  unknown: { name: 'no known stimulus', text: 'A neuron that works, but none of the pictures that excite it most is known to the semantic space (ConceptEvo) of the run. So it gets neither place nor concept, rather than an invented one.' },
  valid: { name: 'with signal', text: 'Neurons that are neither dead, constant nor broken, and that the space can place: all that the map draws.' },
  top_images: { name: 'top images', text: 'The probe images that excite a neuron most, strongest first. They should show what its concept says.' },
  patch: { name: 'activating patch', text: 'The outlined part of a top image that excites the neuron most.' },
  probe_images: { name: 'probe images', text: 'A fixed set of pictures shown to the network at every step to find out what its neurons answer to. They are not trained on.' },

  // How rich the layer is
  d_anchor: { name: 'd_anchor (anchor distance)', text: 'How far, on average, each concept is from the nearest neuron. Low: the neurons cover many different concepts; it should fall during training.' },
  d_anchor_gated: { name: 'd_anchor, gated', text: 'The same distance counted over interpretable neurons only, so that neurons that are mere noise cannot make a layer look diverse.' },
  diversity: { name: 'concept diversity', text: 'How many different concepts the neurons cover. Measured by d_anchor: the lower the distance, the more diverse.' },
  mean_pairwise_distance: { name: 'mean pairwise distance', text: 'How far apart two neurons are on average. Low: neurons are alike and clumped together; high: they are spread out.' },
  displacement: { name: 'displacement', text: 'How far a neuron’s meaning has moved since the step before. Large early in training, small once it has settled.' },
  mean_displacement: { name: 'mean displacement', text: 'How far the neurons of the layer moved on average since the step before. It should shrink as training settles.' },
  entropy: { name: 'concept entropy', text: 'How evenly the interpretable neurons are spread over concepts. 0: all have the same one; higher: many concepts, none dominating.' },
  place_entropy: { name: 'entropy of places', text: 'How evenly the neurons spread over the map; dead ones count as being in one place. Falling: concepts gather and lose diversity, as with far too high a learning rate. Compare on one map only.' },
  missing_anchor: { name: 'missing anchor', text: 'An anchor word with no neuron near it: something the network has not learned (yet).' },
  anchor_nearest: { name: 'distance to nearest neuron', text: 'How far a word is from the neuron closest to it. Large: no neuron stands for it.' },
  gained: { name: 'gained concept', text: 'A concept that some neuron has here and none has where it is compared with.' },
  lost: { name: 'lost concept', text: 'A concept that some neuron has where it is compared with and none has here.' },
  alert: { name: 'alert', text: 'Raised while the run was trained, when its logged numbers met a rule: less diverse concepts, neurons that lost concept or signal, or concepts that stand still while accuracy rises. Each tells its numbers.' },
  verdict: { name: 'verdict', text: 'A rule of thumb from the curves of this layer: diversity, interpretable neurons, and kinds of concepts. It is a hint where to look, not a measurement.' },

  // The map
  concept_space: { name: 'concept space', text: 'A fixed arrangement of all words by meaning: related ones lie close. It is the same for all steps, layers and runs that share words and encoder.' },
  map: { name: 'concept map', text: 'Each dot is a neuron, placed near the concepts it answers to. Near the middle: no clear meaning yet; near a word: it stands for that word.' },
  anchor: { name: 'anchor (star)', text: 'A word that somebody wants to see learned (or not), marked by a green star. Watch whether neurons gather around it.' },
  encoder: { name: 'encoder', text: 'The image-and-text model that knows which pictures fit which words. All similarities and places rest on it.' },
  projection: { name: 'projection', text: 'How the concept space with its many dimensions is flattened on to the map. Distances on the map are a guide; d_anchor uses the real ones.' },
  embedding: { name: 'embedding', text: 'A point in the space of meanings: of a word, or of a neuron as the mixture of the words that fit it.' },
  trail: { name: 'trail', text: 'The path of a neuron over the steps up to now: older parts fade, colours are the category at that time.' },
  ghost: { name: 'ghost', text: 'Where the neurons were one step earlier, drawn faintly.' },
  contours: { name: 'contours', text: 'Lines around places with many neurons, like heights on a hiking map.' },
  born: { name: 'born at step', text: 'The first step at which a neuron was interpretable.' },
  tracked: { name: 'tracked neurons', text: 'Neurons that are followed over the steps with a trail: chosen by you, by the training script, or suggested for their rich history.' },
  pinned: { name: 'pinned neurons', text: 'Neurons whose cards stay open side by side.' },
  selection: { name: 'selection', text: 'The neurons brought out in all views, chosen by lasso, by rectangle, or by a concept. Escape clears it.' },
  nearest_neurons: { name: 'nearest neurons', text: 'Neurons of the same layer with the most similar meaning.' },
  cosine: { name: 'cosine', text: 'How alike the meanings of two neurons are: 1 is the same, 0 is unrelated.' },
  across: { name: 'across runs', text: 'The neuron closest in meaning in each other layer or run. Numbers of neurons mean nothing from one run to another; meanings do.' },
  source: { name: 'shown run or layer', text: 'One layer of one run. Up to four are shown at once, each with its own colour and line.' },
  overlay: { name: 'overlay', text: 'All shown runs and layers on one map, each in its own colour. Only possible where they share a concept space.' },
  side_by_side: { name: 'side by side', text: 'One map for each shown run or layer, moved and zoomed together.' },

  // Time
  evolution: { name: 'evolution', text: 'How what excites a neuron changes from one step of the training to another.' },
  importance: { name: 'importance', text: 'The share of a class’s images for which a neuron’s change between two steps raises the network’s answer for that class: 0.5, dotted, is every second one. Below it: by how much on average.' },
  step: { name: 'step', text: 'The number under which the training script logged a snapshot, often the epoch.' },
  epoch: { name: 'epoch', text: 'Here: the how-manieth logged step of the run, counted from 0.' },
  wall_time: { name: 'wall time', text: 'Time on the clock, in hours since the first logged step.' },
  scalar_axis: { name: 'scalar as axis', text: 'Lines runs up by a measured value, such as training accuracy, so that they are compared where they are equally far.' },
  scalar: { name: 'scalar', text: 'A single number that the training script logged over time, such as loss or accuracy.' },
  smoothing: { name: 'smoothing', text: 'Draws a curve as its running average, so that its trend shows through the noise. The faint line behind is the logged one.' },
  log_scale: { name: 'logarithmic scale', text: 'Equal distances mean equal factors, so that small and large values can be seen in one chart.' },
  range: { name: 'range', text: 'The steps between which playing stays.' },
  event: { name: 'event mark', text: 'A step at which something notable happened, such as diversity falling or a changed learning rate.' },
  barcode: { name: 'label history', text: 'A neuron’s concepts over time: a thick stretch in the colour of a category, a thin line where it had no clear concept.' },
  flow: { name: 'concept flow', text: 'Where neurons went between two steps: the thickness of a band is the number of neurons that changed from the left to the right concept.' },
  sampled: { name: 'steps were sampled', text: 'TensorBoard kept only some of the logged steps to save memory. Start it with --samples_per_plugin conceptmon=0 to keep all.' },
  newer_schema: { name: 'newer schema', text: 'Data written by a newer version of Concept Monitor than this one can read. Update the package where TensorBoard runs.' },
};

/** @type {{title: string, terms: Term[]}[]} the help sheet's order */
export const GROUPS = [
  { title: 'What is looked at', terms: ['neuron', 'layer', 'run', 'source', 'concept', 'category', 'low_level', 'high_level', 'probe_images', 'top_images', 'patch'] },
  { title: 'Is a neuron clear?', terms: ['similarity', 'threshold', 'calibrated', 'interpretable', 'no_concept', 'explanation', 'explanation_fit', 'num_concepts', 'redundant', 'description', 'detector', 'dead', 'constant', 'nonfinite', 'unknown'] },
  { title: 'Is a layer healthy?', terms: ['d_anchor', 'd_anchor_gated', 'mean_pairwise_distance', 'displacement', 'entropy', 'place_entropy', 'missing_anchor', 'gained', 'lost', 'verdict', 'alert'] },
  { title: 'The map', terms: ['map', 'concept_space', 'anchor', 'trail', 'ghost', 'contours', 'born', 'tracked', 'selection', 'nearest_neurons', 'across', 'encoder', 'projection', 'overlay', 'side_by_side'] },
  { title: 'Time', terms: ['step', 'epoch', 'wall_time', 'scalar', 'scalar_axis', 'smoothing', 'event', 'barcode', 'flow', 'evolution', 'importance', 'sampled'] },
];

/** The explanation of a term. @param {Term} term */
export const textOf = (term) => GLOSSARY[term].text;
/** What a term is called in the tab. @param {Term} term */
export const nameOfTerm = (term) => GLOSSARY[term].name;

/** The explanation of a category by its name, of one's own categories that there is none. @param {string} name */
export function textOfCategory(name) {
  const known = /** @type {Record<string, Entry | undefined>} */ (GLOSSARY)[name.toLowerCase().replace('colour', 'color')];
  const isOurs = ['color', 'texture', 'material', 'part', 'object', 'scene'].includes(name.toLowerCase().replace('colour', 'color'));
  return isOurs && known ? known.text : GLOSSARY.category.text;
}
