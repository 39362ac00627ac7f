"""FastAPI with a hash of features a sale in Redis, read by one pipeline, and LightGBM.

Run as ``python hashes.py PORT FOLDER SOCKET``, where ``model.txt`` and ``rows.npy`` are; it first
fills the store of the socket.
"""

# It runs in an environment of its own, whose libraries the type checker does not see.
# pyright: basic, reportMissingImports=false

import sys
from pathlib import Path

import lightgbm
import numpy as np
import redis
import redis.asyncio
import uvicorn
from fastapi import FastAPI

PORT, FOLDER, SOCKET = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
N_ITEMS = 10

rows = np.load(FOLDER / "rows.npy")
booster = lightgbm.Booster(model_file=FOLDER / "model.txt")
names = booster.feature_name()
fields = [name.encode() for name in names]
keys = [f"sale:{row}" for row in range(len(rows))]
store = redis.asyncio.Redis(unix_socket_path=SOCKET)
app = FastAPI()


@app.get("/rank")
async def rank(customer_id: str) -> dict:
    """Read all sales, score them and return the best."""
    pipeline = store.pipeline(transaction=False)
    for key in keys:
        pipeline.hgetall(key)
    found = await pipeline.execute()
    matrix = np.array([[float(one[name]) for name in fields] for one in found], np.float32)
    scores = np.asarray(booster.predict(matrix, num_threads=1))
    best = np.argsort(-scores)[:N_ITEMS].tolist()
    items = [{"sale_id": keys[row], "score": scores[row].item()} for row in best]
    return {"customer_id": customer_id, "items": items}


if __name__ == "__main__":
    with redis.Redis(unix_socket_path=SOCKET) as filling:
        for key, row in zip(keys, rows.tolist(), strict=True):
            filling.hset(key, mapping=dict(zip(names, row, strict=True)))
    uvicorn.run(app, port=PORT, access_log=False, log_level="warning")
