"""
On a cluster
============

Each coalition is evaluated for itself, so that many machines can share them. Here two workers of dask within this
process stand for a cluster: elsewhere ``Client`` takes the address of its scheduler. (Needs the extra ``dask``.)
"""

import joblib
from distributed import Client, LocalCluster
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from unshap_plugin import value

x, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
question = {"model": model, "train": (x[::2], y[::2]), "test": (x[1::2], y[1::2]), "budget": 400}

with (
    LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
    Client(cluster) as client,
    joblib.parallel_config("dask"),
):
    client.wait_for_workers(2)
    print(len(client.scheduler_info()["workers"]), "workers")
    result = value(**question)
result

# %%
# The values are those of one process, bit for bit, whatever the number of workers and whatever becomes of them:

alone = value(**question, n_jobs=1)
print((result.values == alone.values).all(), (result.std_errors == alone.std_errors).all())

# %%
# On the command line it is ``--scheduler tcp://10.0.0.1:8786``. SLURM, Kubernetes, ray, and what happens when a worker
# dies: :doc:`/clusters`.
