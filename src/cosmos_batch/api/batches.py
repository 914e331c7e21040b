"""The public functions of Cosmos batch generation: groups, batch sizes, and the contents of batch files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from cosmos_batch.engines.nvidia.transfer1.order import mixes_weights
from cosmos_batch.engines.nvidia.transfer1.spec import (
    base_spec,
    shared_settings,
    to_cosmos_batch_inference_jsonl,
    with_rate,
)
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1, TRANSFER1_WITH_MAPS
from cosmos_batch.engines.nvidia.transfer1.weight_maps import control_to_map, map_name
from cosmos_batch.engines.registry import traits_of
from cosmos_batch.errors import PlanError
from cosmos_batch.formats.run_like import RunLike, as_run, as_runs
from cosmos_batch.planning.batch_keys import distinguishing_values, key_of, resolved_defaults
from cosmos_batch.planning.batch_size import limit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.packing import places_of
from cosmos_batch.planning.planner import draft_plan
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Run, Signature

if TYPE_CHECKING:
    from cosmos_batch.engines.nvidia.transfer1.batch_files import BatchFiles

WeightForm = Literal["maps", "scalar"]
"""How weights are given that differ within a batch: as maps, or not at all, so that they part the batches."""
Given = TypeVar("Given", bound=RunLike)
_NO_FACTS: Mapping[str, VideoInfo] = {}

# Only the overhead of a batch has a cost, so that batches are as large as the table allows.
_UNMEASURED = replace(CostModel.free("any", "any"), batch=1.0)


@dataclass(frozen=True, slots=True)
class ExpectedArrivals:
    """Runs of a group that are expected; see `predict_arrivals`."""

    group: tuple[Any, ...]  # the group's key, as `group_runs_for_batching` names it
    like: RunLike  # the group's latest run, as given
    next_in: float  # seconds in which the next run arrives as likely as not; infinite: none is expected
    per_hour: float  # expected number of runs in the next hour
    runs: float  # expected number of runs within the time that was asked for
    probability: float  # that at least one arrives within that time


@dataclass(frozen=True, slots=True)
class SmartBatch:
    """A batch with the contents of its files; read by attribute, by key, or as `dict(batch)`."""

    runs: tuple[RunLike, ...]  # as given
    base_spec: dict[str, Any]  # one and the same for all batches of a launch
    batch_jsonl: list[dict[str, Any]]  # one line for each run
    batch_size: int  # number of runs
    control_count: int
    signature: Signature  # the controls that some run of the batch uses
    launch: int  # index of the launch; one process executes the batches of a launch, in order
    number: int  # 1-based place among all batches; in the names of its files
    engine: str  # name of the engine that the batch is for
    weight_maps: dict[str, float]  # weight of each map that a line names in place of a number; `write` makes them
    room: int = 0  # expected runs that it leaves room for: it may wait for them

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name. Raises KeyError where there is no such field."""
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(field.name for field in fields(cls))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def write(self, folder: str | Path) -> BatchFiles:
        """Write base spec, lines and weight maps for NVIDIA's Transfer1 script: `batch_0001_spec.json` and so on.

        The paths in the files are absolute. Raises PlanError for a batch of another engine, InputError where the
        folder holds another batch of this number, and StorageError if something cannot be written.
        """
        _check_engine(self)
        from cosmos_batch.engines.nvidia.transfer1.batch_files import write_batch

        name = f"batch_{self.number:04d}"
        lines, maps = self.batch_jsonl, self.weight_maps
        return write_batch(Path(folder), name, self.base_spec, lines, maps, size=self.batch_size)


def write_launches(batches: Sequence[SmartBatch], folder: str | Path) -> list[BatchFiles]:
    """Write the batches for NVIDIA's Transfer1 script, one spec and one file of lines for each launch.

    The files are `launch_0001_spec.json`, `launch_0001.jsonl` and so on, by the launch's index and one. One start
    of the script loads the model once, and makes the batches of its launch in order. Raises PlanError for batches
    of another engine, or of a launch that the script would cut into other batches; InputError where the folder
    holds another launch of this number, and StorageError if something cannot be written.
    """
    from cosmos_batch.engines.nvidia.transfer1.batch_files import write_batch

    launches: dict[int, list[SmartBatch]] = {}
    for batch in sorted(batches, key=lambda batch: batch.number):
        _check_engine(batch)
        launches.setdefault(batch.launch, []).append(batch)
    for launch, members in launches.items():
        _check_sizes(launch, [batch.batch_size for batch in members])
    written = []
    for launch, members in sorted(launches.items()):
        lines = [line for batch in members for line in batch.batch_jsonl]
        maps = {name: weight for batch in members for name, weight in batch.weight_maps.items()}
        name, size = f"launch_{launch + 1:04d}", members[0].batch_size
        written.append(write_batch(Path(folder), name, members[0].base_spec, lines, maps, size=size))
    return written


def _check_engine(batch: SmartBatch) -> None:
    if batch.engine != TRANSFER1.name:
        raise PlanError(f"the batch is for engine {batch.engine!r}; only Transfer1 reads such files")


def _check_sizes(launch: int, sizes: Sequence[int]) -> None:
    """Raise PlanError unless all batches but the last are of one size, which the last does not exceed."""
    if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
        raise PlanError(
            f"launch {launch}: batches of {', '.join(map(str, sizes))} runs; Transfer1 cuts a file into batches "
            "of one size, of which only the last may be smaller; give all batches of one smart_batch_generation"
        )


def get_control_signature(run: RunLike) -> Signature:
    """Return the sorted names of controls of weight above 0. Raises InputError for a dict that is no run."""
    return as_run(run).signature


def group_runs_for_batching(
    runs: Sequence[Given], engine: str | Traits = "transfer1"
) -> dict[tuple[Any, ...], list[Given]]:
    """Group the runs by what the engine needs equal in a launch, simplest control set first.

    A group's key is its control signature, ("edge",). Where runs of one signature differ in settings that a launch
    needs equal, pairs of name and value follow: ("edge", ("seed", 7)). An engine that takes mixed control sets has
    one group, under the sorted names of all controls. Raises InputError for a dict that is no run, PlanError for
    an unknown engine.
    """
    traits = _script_traits(engine)
    key = key_of(traits.launch_keys, resolved_defaults(traits))
    groups: dict[tuple[Any, ...], list[tuple[Run, Given]]] = {}
    for given in runs:
        run = with_rate(as_run(given), traits)
        groups.setdefault(key(run, None), []).append((run, given))
    distinct = distinguishing_values(traits.launch_keys, groups)
    signatures = {name: _union(run for run, _ in members) for name, members in groups.items()}
    order = sorted(groups, key=lambda name: (len(signatures[name]), signatures[name]))
    return {(*signatures[name], *distinct[name]): [given for _, given in groups[name]] for name in order}


def _script_traits(engine: str | Traits) -> Traits:
    """The engine's traits; for Transfer1 those of the script alone, which makes edge and vis videos itself."""
    return TRANSFER1 if engine == TRANSFER1.name else traits_of(engine)


def _union(runs: Iterable[Run]) -> Signature:
    return tuple(sorted({name for run in runs for name in run.signature}))


def determine_batch_size(
    num_controls: int | Signature | list[str] | RunLike, *, job_type: str = "inference"
) -> int:
    """Return the size of a batch before anything is measured: 8, 4, 2, 2 for 1 to 4 controls, else 1.

    Takes a number of controls, a signature, or a run. Upscaling runs are never batched.
    """
    if isinstance(num_controls, int):
        return 1 if job_type == "upscale" else limit(num_controls)
    if isinstance(num_controls, (tuple, list)):
        return 1 if job_type == "upscale" or "upscale" in num_controls else limit(len(num_controls))
    run = as_run(num_controls)
    return determine_batch_size(run.signature, job_type="upscale" if "upscale" in (job_type, run.job_type) else "")


def smart_batch_generation(
    runs: Sequence[RunLike],
    engine: str | Traits = "transfer1",
    *,
    facts: Mapping[str, VideoInfo] = _NO_FACTS,
    weights: WeightForm = "maps",
    expected: Sequence[ExpectedArrivals] = (),
) -> list[SmartBatch]:
    """Divide the runs into batches of at most `determine_batch_size`, with the contents of their files.

    The levels of priority follow each other, each with its simplest control sets first. Transfer1 gives every
    video of a tensor batch the first one's weights where they are numbers, and its own where they are maps. So
    where the runs of a batch differ in weights, each line names one weight as a map, which `SmartBatch.write`
    makes; with `weights="scalar"` such runs are in different batches. Video sizes are equal within a Transfer1
    batch: `facts` holds what is known of each video, by path, and videos without an entry count as equal. A run
    that names no frame rate has that of its input, or 24 where nothing is known of it. For an engine that takes
    mixed settings, the base spec holds those that are equal in all runs of the launch.

    `expected` (of `predict_arrivals`) leaves room: runs are divided as if the whole number of runs that is
    expected of each group had come, too. A batch's `room` says for how many of them it has places. Such a batch
    ends its launch, so that a run that comes can still be appended to the launch's file.

    Raises InputError for a dict that is no run, and PlanError for an unknown engine, another word for `weights`,
    or runs that the engine cannot execute.
    """
    traits = _weighted_traits(engine, weights)
    to_come = [each.like for each in expected for _ in range(int(each.runs))] if runs else []
    valid = [with_rate(run, traits, facts) for run in as_runs([*runs, *to_come])]
    found: list[SmartBatch] = []
    index = 0
    for launch in draft_plan(valid, traits, _UNMEASURED, facts=facts):
        for part in _with_room_last([places_of(batch) for batch in launch.batches], len(runs)):
            members = [valid[place] for batch, _ in part for place in batch]
            spec = base_spec(members, shared_settings(members, traits))
            for batch, room in part:
                given = tuple(runs[place] for place in batch)
                taken = [valid[place] for place in batch]
                made = _smart_batch(given, taken, index, len(found) + 1, spec, traits)
                found.append(replace(made, room=room))
            index += 1
    return found


def _with_room_last(batches: Iterable[Sequence[int]], given: int) -> list[list[tuple[list[int], int]]]:
    """The batches of a launch without expected runs, each with their number, as launches.

    `given`: the number of runs that are there; later places are those of expected ones. All batches of a launch
    but the last are full, so that of several with room each but one begins a launch of its own.
    """
    launches: list[list[tuple[list[int], int]]] = [[]]
    with_room: list[tuple[list[int], int]] = []
    for places in batches:
        there = [place for place in places if place < given]
        room = len(places) - len(there)
        if there:
            (with_room if room else launches[0]).append((there, room))
    for each in with_room:
        first = launches[0]
        if (not first or not first[-1][1]) and (not first or len(each[0]) <= len(first[0][0])):
            first.append(each)
        else:
            launches.append([each])
    return [launch for launch in launches if launch]


def _weighted_traits(engine: str | Traits, weights: WeightForm) -> Traits:
    """The engine's traits, with or without batches that mix weights as maps."""
    if weights not in get_args(WeightForm):
        raise PlanError(f"weights = {weights!r}: it is 'maps' or 'scalar'")
    traits = TRANSFER1_WITH_MAPS if engine == TRANSFER1.name else traits_of(engine)
    return traits if weights == "maps" else replace(traits, batch_keys_with_maps=None)


def _smart_batch(
    given: tuple[RunLike, ...],
    members: Sequence[Run],
    launch: int,
    number: int,
    spec: dict[str, Any],
    traits: Traits,
) -> SmartBatch:
    signature, lines = _union(members), to_cosmos_batch_inference_jsonl(members)
    mapped = traits.batch_keys_with_maps is not None and mixes_weights(members)
    return SmartBatch(
        runs=given,
        base_spec=spec,
        batch_jsonl=lines,
        batch_size=len(members),
        control_count=len(signature),
        signature=signature,
        launch=launch,
        number=number,
        engine=traits.name,
        weight_maps=_name_maps(members, lines) if mapped else {},
    )


def _name_maps(runs: Sequence[Run], lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Name a map in place of one weight of each line whose run has no map; returns the weight of each map."""
    maps: dict[str, float] = {}
    for run, line in zip(runs, lines, strict=True):
        control = control_to_map(run)
        if control is not None:
            name = map_name(control.weight)
            maps[name] = control.weight
            line["control_overrides"][control.name]["control_weight"] = name
    return maps
