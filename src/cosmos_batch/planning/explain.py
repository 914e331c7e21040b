"""Say in one sentence why the runs of a launch are together."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_batch.planning.batch_keys import distinguishing_values
from cosmos_batch.planning.launches import LaunchDraft
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Priority, Signature


def reasons(drafts: Sequence[LaunchDraft], traits: Traits) -> list[str]:
    """The reason of each launch, given all launches of the plan."""
    distinct = distinguishing_values(traits.launch_keys, {draft.key for draft in drafts})
    return [f"{_priority(draft)}{_membership(draft, distinct[draft.key], traits)}" for draft in drafts]


def _priority(draft: LaunchDraft) -> str:
    """The level of the launch's first runs where it is not the normal one: "urgent: ", "high runs first: "."""
    if draft.level is Priority.NORMAL:
        return ""
    name = draft.level.name.lower()
    return f"{name}: " if all(group.level is draft.level for group in draft.groups) else f"{name} runs first: "


def _membership(draft: LaunchDraft, distinct: tuple[tuple[str, object], ...], traits: Traits) -> str:
    count = sum(draft.groups.values())
    runs = "1 run" if count == 1 else f"{count} runs"
    signatures = draft.signatures
    if len(signatures) > 1:
        return f"{runs} of {len(signatures)} control sets, which {traits.name} takes side by side in one launch"
    subject = f"{runs} with {_controls(signatures.pop())}"
    if draft.leftover:
        return f"{subject} that did not fill a batch of the launch before"
    if distinct:
        values = " and ".join(f"{name} = {value!r}" for name, value in distinct)
        return f"{subject} and {values}, which {traits.name} holds fixed for a whole launch"
    return f"{subject}: equal in all that {traits.name} holds fixed for a whole launch"


def _controls(signature: Signature) -> str:
    if len(signature) == 1:
        return f"{signature[0]} alone"
    return " + ".join(signature) or "no control"
