"""FastAPI with one route that answers at once: the floor of any HTTP answer here.

Run as ``python empty.py PORT``.
"""

import sys

import uvicorn
from fastapi import FastAPI, Response

app = FastAPI()


@app.get("/")
async def nothing() -> Response:
    """Answer with an empty object."""
    return Response(b"{}", media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
