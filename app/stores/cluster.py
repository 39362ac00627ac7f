"""Pipelines to a cluster, by node: what a node cannot answer takes no other reply away."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py annotates replies as unknown.

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, cast

from redis.asyncio.cluster import ClusterNode, PipelineCommand, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Argument = str | bytes | int
Command = tuple[Argument, ...]

# Of a node that is away; another refusal is of one command, as of a script that it does not know.
_AWAY: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    OSError,
    KeyError,
    ClusterDownError,
    RedisClusterException,
)
_REDIRECTED: Final = (MovedError, AskError, TryAgainError)
_SCRIPTS: Final = frozenset({"EVAL", "EVALSHA"})


def keys_of(command: Command) -> tuple[Argument, ...]:
    """Return the keys of a command, which are the first of its words, or those of its script."""
    return command[3 : 3 + int(command[2])] if command[0] in _SCRIPTS else command[1:2]


async def run_by_node(client: RedisCluster, commands: Sequence[Command]) -> list[object]:
    """Run commands, each of keys in one slot, in one round trip to each node.

    Returns:
        The replies, in the order given; of a command that failed the exception.

    Raises:
        RedisClusterException: If no node answers.
    """
    await client.initialize()
    sent = [PipelineCommand(position, *command) for position, command in enumerate(commands)]
    for first, *others in await _send(client, sent):
        # The client asks for the cluster's nodes again where one command alone fails.
        first.result = await _run_alone(client, first)
        if not isinstance(first.result, _AWAY):
            await _send(client, others)
    for command in sent:
        if isinstance(command.result, _REDIRECTED):
            command.result = await _run_alone(client, command)
    return [command.result for command in sent]


async def _send(
    client: RedisCluster, commands: Sequence[PipelineCommand]
) -> list[list[PipelineCommand]]:
    """Run commands, and return those of each node that cannot be reached."""
    groups = defaultdict[ClusterNode, list[PipelineCommand]](list)
    for command in commands:
        try:
            node = client.get_node_from_key(str(keys_of(command.args)[0]))
        except SlotNotCoveredError as exc:
            command.result = exc
        else:
            groups[cast("ClusterNode", node)].append(command)
    outcomes: list[bool | BaseException] = await asyncio.gather(
        *(node.execute_pipeline(group) for node, group in groups.items()), return_exceptions=True
    )
    away: list[list[PipelineCommand]] = []
    for outcome, group in zip(outcomes, groups.values(), strict=True):
        if isinstance(outcome, BaseException):
            for command in group:
                command.result = outcome
        # A connection that was lost meanwhile is the outcome of each command, not of the pipeline.
        if isinstance(outcome, BaseException) or isinstance(group[0].result, RedisConnectionError):
            away.append(group)
    return away


async def _run_alone(client: RedisCluster, command: PipelineCommand) -> object:
    try:
        return await client.execute_command(*command.args)
    except (RedisError, RedisClusterException, OSError, KeyError) as exc:
        return exc
