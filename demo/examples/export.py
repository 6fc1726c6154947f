"""From event files to tables, without model, images or GPU: `python -m demo.examples.export runs/my_run`.

`conceptmon export runs/my_run` writes the same table from the shell, and `python -m demo.figure runs/my_run`
draws the thesis' Figure 2.1.
"""

import sys

import conceptmon_tb as cm

run = cm.read_run(sys.argv[1])
layer, last = list(run.snapshots)[-1], run.steps[-1]

# One row for each step, layer and neuron; NumPy columns, or a pandas data frame.
neurons = cm.export.to_frame(cm.export.neuron_columns(run))
found = neurons[neurons["interpretable"]]
counts = found.groupby(["step", "category"], observed=True).size().unstack(fill_value=0)
print(f"Interpretable neurons by category\n{counts}\n")

# Which concepts does the last layer have at the end that it did not have at the start?
words = {step: set(found.query("layer == @layer and step == @step")["word"]) for step in (run.steps[0], last)}
print(f"New in {layer}: {', '.join(sorted(words[last] - words[run.steps[0]])) or 'nothing'}\n")

# One row for each step and layer.
metrics = cm.export.to_frame(cm.export.metric_columns(run, layers=[layer]))
print(metrics[["step", "d_anchor", "interpretable", "mean_pairwise_distance", "displacement"]].to_string())

# How far did every neuron travel from first to last step, in the space of the embeddings (Eq. 2.1)?
steps, embedding = cm.export.embeddings(run, layer)
travelled = ((embedding[-1] - embedding[0]) ** 2).sum(axis=1) ** 0.5
print(f"\nThe neuron that moved most: {travelled.argmax()}, by {travelled.max():.2f}")
