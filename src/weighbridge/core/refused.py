"""The one exception of `load` and of the guard: a model was weighed and not admitted."""

from typing import TYPE_CHECKING

from weighbridge.core.errors import ExitCode, WeighbridgeError

if TYPE_CHECKING:
    from weighbridge.core.report import Report


class LoadRefused(WeighbridgeError):  # noqa: N818 - what happened is no error of anybody's
    """A model was not admitted, so nothing of it was loaded. The one exception of `load` and of the guard.

    Its text says the verdict, the reasons and what to do next; `report` is the whole weighing (`core.report.Report`).
    """

    exit_code = ExitCode.REFUSED

    def __init__(
        self, message: str, *hints: str, reasons: tuple[str, ...] = (), report: "Report | None" = None
    ) -> None:
        super().__init__("load-refused", message, *hints)
        self.reasons = reasons
        """One line a reason, worst first, each beginning with the question that it answers."""
        self.report = report

    def __str__(self) -> str:
        lines = [f"{self.message} [{self.code}]"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  next: {hint}" for hint in self.hints]
        return "\n".join(lines)
