"""Options that several commands share: how they are spelled, and where else they may come from."""

from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter("--json", negative="", help="Speak JSON lines, for machines.")]
ApiKey = Annotated[str, Parameter(env_var="CONCLAVE_API_KEY")]  # each command says which it means
ApiSecret = Annotated[
    str,
    Parameter(
        env_var="CONCLAVE_API_SECRET",
        help="The key's secret; better given by the environment.",
    ),
]
