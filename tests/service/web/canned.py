"""What the stand-in server tells: runs in every state, groups of a plan, statistics; with prompts that bite."""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from typing import Any

HTML = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> a robot arm at dusk"
ANSI = "\x1b[31mred alert\x1b[0m: a forklift in a warehouse, rain on the skylights"
PROMPTS = (
    "A robot arm stacks blue crates in a bright warehouse, morning light through high windows",
    "The same kitchen at night, lit by one lamp, photorealistic",
    "Heavy rain on a city crossing, headlights mirrored in the asphalt, filmed from a moving car",
    HTML,
    "A snowy mountain road seen from a delivery van, long shadows, crisp winter air",
    ANSI,
)

SERVER = {
    "object": "server",
    "version": "0.1.0",
    "keys_required": False,
    "signed_in": True,
    "model": "pocket",
    "engine": "pocket",
    "controls": ["depth", "edge", "seg", "vis"],
    "defaults": {
        "num_steps": 35,
        "guidance": 7,
        "sigma_max": 70,
        "seed": 42,
        "fps": 8,
        "resolution": None,
        "negative_prompt": "low quality, blurry",
    },
    "roots": ["/data/videos"],
    "limits": {"upload_bytes": 1 << 31, "body_bytes": 1 << 22, "queue_runs": 200_000},
}

STATUS = {"succeeded": "completed", "running": "in_progress", "preempted": "in_progress"} | dict.fromkeys(
    ("failed", "blocked", "cancelled"), "failed"
)


def video(number: int, state: str, **changes: Any) -> dict[str, Any]:
    """A run as `GET /v1/videos/{id}` tells of it."""
    done = state == "succeeded"
    variants = ["input", "thumbnail", "control_edge", "video", "run"] if done else ["input", "thumbnail"]
    made = {
        "id": f"video_{number:04d}",
        "object": "video",
        "model": "pocket",
        "status": STATUS.get(state, "queued"),
        "progress": 100 if done else 0,
        "created_at": int(time.time()) - 600 * number,
        "completed_at": int(time.time()) - 600 * number + 240 if done else None,
        "expires_at": None,
        "prompt": PROMPTS[number % len(PROMPTS)],
        "seconds": "3",
        "size": "320x192",
        "remixed_from_video_id": None,
        "error": None,
        "state": state,
        "reason": {"queued": "waits for the batch before it", "succeeded": "checked and filed"}.get(state, state),
        "updated_at": time.time(),
        "priority": 0,
        "group": "edge, 320x192, 24 frames",
        "inputs": {"video": "/data/videos/street.mp4"},
        "execution_config": {
            "weights": {"edge": round(0.3 + 0.1 * (number % 5), 2), "depth": 0.5 if number % 2 else 0},
            "num_steps": 35,
            "guidance": 7,
            "sigma_max": 70,
            "seed": 42 + number,
            "fps": 8,
            "num_frames": 24,
            "resolution": "320x192",
            "negative_prompt": "low quality, blurry",
            "blur_strength": "medium",
            "canny_threshold": "medium",
        },
        "job_type": "inference",
        "step": 35 if done else 0,
        "steps": 35,
        "eta_seconds": None,
        "predicted_seconds": 52.0,
        "seconds_taken": 49.5 if done else None,
        "batch": 17 if done or state == "running" else None,
        "failures": 0,
        "deaths": 0,
        "cancelling": False,
        "rating": None,
        "variants": variants,
    }
    return made | changes


def error(state: str, message: str) -> dict[str, Any]:
    """The changes to a run that ended badly."""
    return {"error": {"code": state, "message": message}, "reason": message, "failures": 1}


def everything() -> list[dict[str, Any]]:
    """Runs in every state, newest first."""
    memory = "out of memory: 8 runs of 1280x720 need 96 GB and 79 GB are free; the batch was halved down to 1"
    return [
        video(1, "running", step=12, eta_seconds=31.0, priority=100),
        video(2, "running", step=9, eta_seconds=38.5),
        video(3, "queued", reason="4 runs with edge alone fill a batch; it starts when batch 17 is done"),
        video(4, "queued", reason="waits for company: at most 20 s more, then it starts as it is", priority=10),
        video(5, "queued", reason="depth is the next group: its control branch is not loaded yet"),
        video(6, "preempted", reason="set aside at step 14 for an urgent run; goes on from there", step=14),
        video(7, "failed", **error("failed", f"{memory}\n{ANSI}")),
        video(
            8,
            "blocked",
            **error("blocked", "the guardrail refused the prompt: it names a person"),
        ),
        video(9, "cancelled", reason="cancelled by alice"),
        *(video(n, "succeeded", rating=(None, 5, 4, None, 3)[n % 5]) for n in range(10, 40)),
    ]


def queue(videos: Mapping[str, Mapping[str, Any]], mode: str, unplanned: Set[str] = frozenset()) -> dict[str, Any]:
    """`GET /v1/queue`: what waits in one group of edge and one of depth."""
    told = list(videos.values())
    counts: dict[str, int] = {}
    for run in told:
        counts[run["state"]] = counts.get(run["state"], 0) + 1
    waiting = [run for run in told if run["state"] in ("queued", "preempted") and run["id"] not in unplanned]
    groups = [
        _group(0, ["edge"], waiting[:3], "3 runs with edge alone share one batch: the first has waited longest"),
        _group(1, ["depth", "edge"], waiting[3:], "depth is loaded after edge: it saves one load of its branch"),
    ]
    at_work = {"trouble": None, "batch": 17, "seen": time.time(), "alive": True}
    return {
        "object": "queue",
        "mode": mode,
        "counts": counts,
        "seconds": 118.0,
        "groups": [group for group in groups if group["runs_total"]],
        "running": _running([run for run in told if run["state"] == "running"]),
        "workers": [{"id": "lab-7:4121", "engine": "pocket", "device": "cuda:0", "state": "working"} | at_work],
        "held_back": {"video_0006": "its folder is gone"} if "video_0006" in unplanned else {},
        "flushed": None,
        "trouble": None,
    }


def _group(index: int, controls: list[str], runs: list[Mapping[str, Any]], reason: str) -> dict[str, Any]:
    told = [{name: run[name] for name in ("id", "prompt", "priority", "state", "reason")} for run in runs]
    shape = {
        "width": 320,
        "height": 192,
        "frames": 24,
        "seconds": 54.0,
        "bytes": 2_100_000_000,
        "starts_in_seconds": 38.0,
    }
    return {
        "index": index,
        "controls": controls,
        "reason": reason,
        "seconds": 59.0,
        "starts_in_seconds": 38.0 + 60 * index,
        "runs_total": len(runs),
        "batches": [{"runs": told, "runs_total": len(runs), **shape}],
    }


def _running(runs: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not runs:
        return []
    told = [{n: run[n] for n in ("id", "prompt", "priority", "step", "steps", "eta_seconds")} for run in runs]
    batch = {"batch": 17, "worker": "lab-7:4121", "width": 320, "height": 192, "frames": 24}
    slowest = max(run["steps"] - run["step"] for run in runs)
    times = {"started": time.time() - 20, "predicted_seconds": 61.0, "eta_seconds": 1.5 * slowest}
    return [batch | times | {"step": runs[0]["step"], "steps": 35, "runs": told}]


def plan(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """`POST /v1/plan`: one batch of all of them."""
    n = len(bodies)
    controls = sorted(name for name, weight in bodies[0]["execution_config"]["weights"].items() if weight)
    batch = {
        "runs": [f"run-{i}" for i in range(n)],
        "controls": controls,
        "width": 320,
        "height": 192,
        "frames": 24,
    }
    cost = {"seconds": 18.0 + 30 * n, "bytes": 1_900_000_000 + 200_000_000 * n}
    launch = {
        "index": 0,
        "controls": controls,
        "reason": "runs of one shape share a batch",
        "batch_size": n,
        "load_seconds": 6.0,
        "seconds": cost["seconds"],
        "batches": [batch | cost],
    }
    totals = {"one_by_one_seconds": 48.0 * n, "forced_seconds": 50.0 * n, "error": 0.08, "starts_in_seconds": 95.0}
    return {"object": "plan", "engine": "pocket", "runs": n, "batches": 1, **cost, **totals, "launches": [launch]}


def stats(hours: int) -> dict[str, Any]:
    """`GET /v1/stats`: a day's work, more of it by day than by night."""
    span = 3600 * max(1, hours // 24)
    now = time.time() // span * span
    buckets = [_bucket(now - span * (23 - n), n) for n in range(24)]
    predictions = [
        {
            "batch": n,
            "at": now,
            "size": 1 + n % 8,
            "predicted_seconds": told,
            "seconds": told * (0.86 + 0.29 * (n * 7 % 11) / 10),
        }
        for n, told in enumerate(9.0 * 1.13**k for k in range(36))
    ]
    taken, alone = (sum(bucket[name] for bucket in buckets) for name in ("engine_seconds", "alone_seconds"))
    return {
        "object": "stats",
        "hours": hours,
        "bucket_seconds": span,
        "buckets": buckets,
        "succeeded": sum(bucket["succeeded"] for bucket in buckets),
        "engine_seconds": taken,
        "alone_seconds": alone,
        "saved_seconds": alone - taken,
        "predictions": predictions,
        "prediction_error": 0.081,
        "wait_seconds": {"p50": 34.0, "p90": 210.0},
        "run_seconds": {"p50": 48.0, "p90": 96.0},
        "batch_sizes": {"1": 6, "2": 9, "4": 14, "8": 11},
    }


def _bucket(at: float, n: int) -> dict[str, Any]:
    made = (2, 1, 0, 0, 0, 1, 3, 6, 11, 14, 15, 13, 10, 12, 16, 18, 17, 12, 9, 7, 6, 5, 4, 3)[n]
    taken = made * 41.0 * (1 - made / 50)
    ends = {"succeeded": made, "failed": n % 9 == 4, "blocked": n % 11 == 9, "cancelled": n % 8 == 7}
    return {
        "at": at,
        **{name: int(value) for name, value in ends.items()},
        "engine_seconds": taken,
        "alone_seconds": made * 52.0,
    }
